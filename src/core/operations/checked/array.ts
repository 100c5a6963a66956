import * as z from 'zod';
import type {
  ArrayCapabilities,
  ArraySnapshot,
  ArrayTarget,
  CallOptions,
  StorageArray,
  VolumeRef,
} from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { pluginOf } from '../plugin.ts';
import { answerOf, jsonUpTo, type Refuse, refusalOf, text, volumeRef } from './answers.ts';
import { checkedSource, checkedTarget } from './volumes.ts';

const LONGEST_REFERENCE = 4_096;
const MOST_SNAPSHOTS = 10_000;

const capabilitiesSchema: z.ZodType<ArrayCapabilities> = z.object({
  group: z.boolean(),
  pointInTime: z.boolean(),
  changeBase: z.enum(['none', 'snapshot']),
  extents: z.enum(['map', 'scan']),
  nameLength: z.int().min(48),
  concurrency: z.int().min(1),
  reverts: z.enum(['any', 'latest']).exactOptional(),
});
const snapshotSchema: z.ZodType<ArraySnapshot> = z.object({
  name: text,
  volume: volumeRef,
  reference: jsonUpTo(LONGEST_REFERENCE),
  takenAt: z.iso.datetime(),
});
const endedSchema = z.array(text);
const snapshotsSchema = z.array(snapshotSchema).max(MOST_SNAPSHOTS);

/** An array whose every answer is looked at: what cannot be true is `WRONG_ANSWER`. */
export function checkedArray(array: StorageArray): StorageArray {
  const { target } = array;
  const clone = array.clone?.bind(array);
  const revert = array.revert?.bind(array);
  const isGroup = array.isGroup?.bind(array);
  const endReading = array.endReading?.bind(array);
  const answers = new Answers(array.name);
  let group: boolean | undefined;
  const capabilities = async (call: CallOptions): Promise<ArrayCapabilities> => {
    const answer = answers.capabilities(await array.capabilities(call));
    ({ group } = answer);
    return answer;
  };
  return pluginOf<StorageArray>({
    contract: array.contract,
    name: array.name,
    capabilities,
    snapshot: async (volumes, name, call) => {
      const isSet = volumes.length > 1;
      const isAlways = isSet && (group ?? (await capabilities(call)).group);
      const isOne = isAlways || (isSet && call.group === true);
      if (isOne && !isAlways && isGroup === undefined) {
        throw new FafnirError('UNSUPPORTED', `array ${array.name} takes no volumes at one instant`);
      }
      return answers.taken(await array.snapshot(volumes, name, call), { volumes, name, isOne });
    },
    find: async (name, call) => answers.found(await array.find(name, call), name),
    list: (prefix, call) => answers.listed(array.list(prefix, call), prefix),
    remove: (snapshot, call) => array.remove(snapshot, call),
    open: async (snapshot, options, call) => {
      const opened = { size: snapshot.volume.size, same: options.since !== undefined };
      return checkedSource(answers.refuse, await array.open(snapshot, options, call), opened);
    },
    endReading: endReading && (async (token, call) => answers.ended(await endReading(token, call))),
    isGroup: isGroup && (async (volumes, call) => answers.truth(await isGroup(volumes, call))),
    target: target && checkedArrayTarget(target, answers),
    clone:
      clone &&
      (async (snapshot, name, call) => answers.made(await clone(snapshot, name, call), snapshot.volume.size)),
    revert,
  });
}

const checkedArrayTarget = (target: ArrayTarget, answers: Answers): ArrayTarget =>
  pluginOf<ArrayTarget>({
    create: async (request, call) => answers.made(await target.create(request, call), request.size),
    openForWrite: async (volume, call) =>
      checkedTarget(answers.refuse, await target.openForWrite(volume, call)),
    remove: (volume, call) => target.remove(volume, call),
  });

/** What was asked for by a call that takes snapshots. */
interface Asked {
  readonly volumes: readonly VolumeRef[];
  readonly name: string;
  /** Whether they are of one instant. */
  readonly isOne: boolean;
}

class Answers {
  readonly refuse: Refuse;
  readonly #array: string;

  constructor(array: string) {
    this.refuse = refusalOf(`array ${array}`);
    this.#array = array;
  }

  capabilities(answer: unknown): ArrayCapabilities {
    return Object.freeze(answerOf(this.refuse, 'its capabilities', capabilitiesSchema, answer));
  }

  ended(answer: unknown): readonly string[] {
    return answerOf(this.refuse, 'what it made to be read', endedSchema, answer);
  }

  truth(answer: unknown): boolean {
    return answerOf(this.refuse, 'whether volumes are a group', z.boolean(), answer);
  }

  taken(answer: unknown, { volumes, name, isOne }: Asked): readonly ArraySnapshot[] {
    const taken = this.found(answer, name);
    if (taken.length !== volumes.length) {
      throw this.refuse(`it tells of ${taken.length} snapshots where ${volumes.length} were asked for`);
    }
    for (const [at, { volume }] of taken.entries()) {
      const { id = '', size = 0 } = volumes[at] ?? {};
      if (volume.id !== id) throw this.refuse(`a snapshot of ${volume.id} stands for one of ${id}`);
      if (volume.size === size) continue;
      throw new FafnirError(
        'WRONG_ANSWER',
        `array ${this.#array} tells of ${volume.size} bytes in a snapshot of ${id}, which has ${size}`,
        {
          hint: 'Protect again if the volume was resized a moment ago; else report it to the maker of the plugin.',
        },
      );
    }
    const instants = new Set(taken.map(({ takenAt }) => takenAt));
    if (isOne && instants.size > 1) throw this.refuse(`one group is of ${[...instants].join(' and ')}`);
    return taken;
  }

  found(answer: unknown, name: string): readonly ArraySnapshot[] {
    const snapshots = answerOf(this.refuse, `its snapshots ${name}`, snapshotsSchema, answer);
    const ids = new Set<string>();
    for (const snapshot of snapshots) {
      this.#assertOwn(snapshot);
      if (snapshot.name !== name) throw this.refuse(`asked for ${name}, it tells of ${snapshot.name}`);
      if (ids.has(snapshot.volume.id)) throw this.refuse(`it has ${name} of ${snapshot.volume.id} twice`);
      ids.add(snapshot.volume.id);
    }
    return snapshots;
  }

  async *listed(answer: AsyncIterable<ArraySnapshot>, prefix: string): AsyncGenerator<ArraySnapshot> {
    if (typeof answer?.[Symbol.asyncIterator] !== 'function') throw this.refuse('its list is none');
    let last = '';
    for await (const item of answer) {
      const snapshot = answerOf(this.refuse, 'a listed snapshot', snapshotSchema, item);
      this.#assertOwn(snapshot);
      if (!snapshot.name.startsWith(prefix)) {
        throw this.refuse(`a list of ${prefix} has ${snapshot.name}`);
      }
      if (snapshot.name < last) throw this.refuse(`it lists ${snapshot.name} after ${last}`);
      last = snapshot.name;
      yield snapshot;
    }
  }

  made(answer: unknown, size: number): VolumeRef {
    const volume = answerOf(this.refuse, 'a new volume', volumeRef, answer);
    if (volume.array !== this.#array) throw this.refuse(`a new volume is on array ${volume.array}`);
    if (volume.size !== size) throw this.refuse(`a new volume of ${size} bytes has ${volume.size}`);
    return volume;
  }

  #assertOwn({ volume }: ArraySnapshot): void {
    if (volume.array === this.#array) return;
    throw this.refuse(`it tells of a snapshot of volume ${volume.id} on array ${volume.array}`);
  }
}
