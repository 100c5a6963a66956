import { setImmediate } from 'node:timers/promises';
import { memoryBank } from '../../../src/banks/memory.ts';
import type {
  ArraySnapshot,
  Protectable,
  Provider,
  Resource,
  StorageArray,
  VolumeRef,
} from '../../../src/index.ts';
import { defineProvider, FafnirError } from '../../../src/index.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { hastyClock } from './world.ts';
import { KEYS } from '../archive/vaults.ts';

/** What a host depends on: other hosts, and disks, each as `array/name`. */
export type Hosts = Readonly<
  Record<string, { readonly hosts?: readonly string[]; readonly disks?: readonly string[] }>
>;

const SIZE = 8_192;
/** The type of hosts. */
export const HOST = 'Test::Host';
/** The type of disks. */
export const DISK = 'Test::Disk';
const resourceOf = (type: string, id: string): Resource => ({ type, id, name: id, attributes: {} });
const refuse = (): Promise<never> =>
  Promise.reject(new FafnirError('UNSUPPORTED', 'these hosts are not restored'));

/**
 * A system in memory that watches how it is called: hosts that can be paused, and disks on arrays. A host that bears
 * data of its own has a volume on array `own`.
 */
export class System {
  /** What happened, in order: `pause web`, `snapshot a/1 a/2`, `end web`. */
  readonly log: string[] = [];
  /** How many of a kind were under way at once at most. */
  readonly most: Record<string, number> = {};
  /** Hosts that are paused now. */
  readonly paused: Set<string> = new Set();
  /** Stands before each call, by names such as `capture web`. */
  before: (call: string) => Promise<void> = () => Promise.resolve();
  /** To protect it with. */
  readonly provider: Provider;
  readonly #tells: boolean;
  readonly #groups: readonly string[] | undefined;
  readonly #hosts: Hosts;
  readonly #disks: ReadonlySet<string>;
  readonly #underWay: Record<string, number> = {};
  readonly #pauses = new Map<string, string>();
  /** What the arrays hold. */
  readonly snapshots: ArraySnapshot[] = [];

  constructor(
    hosts: Hosts,
    of: {
      name?: string;
      concurrency?: number;
      pausable?: boolean;
      archived?: boolean;
      bearing?: boolean;
      /** Whether arrays say that snapshots are taken before they have finished them. */
      tells?: boolean;
      /** What the arrays say are groups, each by the ids of its disks; unless given, any disks are of one instant. */
      groups?: readonly string[];
    } = {},
  ) {
    const {
      name = 'sim',
      concurrency = 1,
      pausable = true,
      archived = false,
      bearing = false,
      tells = false,
    } = of;
    this.#groups = of.groups;
    this.#hosts = hosts;
    this.#tells = tells;
    this.#disks = new Set(Object.values(hosts).flatMap(({ disks = [] }) => disks));
    const arrays = new Set([...this.#disks].map((disk) => disk.split('/')[0] ?? ''));
    if (bearing) arrays.add('own');
    const protectables = [this.#host(pausable, bearing), this.#disk()];
    this.provider = defineProvider({
      name,
      site: 'sim',
      parts: [
        {
          contract: 1,
          name: 'sim',
          protectables,
          arrays: [...arrays].map((array) => this.#array(array, concurrency)),
        },
      ],
      strategies: [archived ? volumeSnapshot() : storageArraySnapshot()],
      banks: [{ bank: memoryBank({ name: `bank of ${name}` }), keys: KEYS, role: 'primary' }],
    });
  }

  /** What was logged of pauses and snapshots of these. */
  logOf(...words: readonly string[]): string[] {
    return this.log.filter((line) => line.split(' ').some((word) => words.includes(word)));
  }

  #count(kind: string, by: number): void {
    const count = (this.#underWay[kind] ?? 0) + by;
    this.#underWay[kind] = count;
    this.most[kind] = Math.max(this.most[kind] ?? 0, count);
  }

  // Some turns long, so that calls meet.
  async #during<Answer>(
    kinds: readonly string[],
    call: string,
    answer: () => Answer | Promise<Answer>,
  ): Promise<Answer> {
    for (const kind of ['any', ...kinds]) this.#count(kind, 1);
    try {
      for (let turn = 0; turn < 3; turn += 1) await setImmediate();
      await this.before(call);
      return await answer();
    } finally {
      for (const kind of ['any', ...kinds]) this.#count(kind, -1);
    }
  }

  #common(type: string, ids: () => readonly string[]): Protectable {
    return {
      contract: 1,
      type,
      list: async function* () {
        for (const id of ids()) yield resourceOf(type, id);
      },
      find: (wanted) =>
        this.#during([type], `find ${type}`, () =>
          wanted.filter((id) => ids().includes(id)).map((id) => resourceOf(type, id)),
        ),
      dependencies: (batch) =>
        this.#during([type], `dependencies ${type}`, () => {
          const targets: Resource[] = [];
          const edges = { from: [] as number[], to: [] as number[] };
          for (const [at, { id }] of batch.entries()) {
            const { hosts = [], disks = [] } = type === HOST ? (this.#hosts[id] ?? {}) : {};
            const keys = [...hosts.map((one) => [HOST, one]), ...disks.map((one) => [DISK, one])];
            for (const [ofType = '', target = ''] of keys) {
              const known = targets.findIndex((one) => one.type === ofType && one.id === target);
              edges.from.push(at);
              edges.to.push(known === -1 ? targets.push(resourceOf(ofType, target)) - 1 : known);
            }
          }
          return { resources: targets, edges, failures: [] };
        }),
      capture: ({ id }) => this.#during([type], `capture ${id}`, () => ({ id })),
      create: refuse,
      connect: refuse,
      remove: refuse,
    };
  }

  #disk(): Protectable {
    return {
      ...this.#common(DISK, () => [...this.#disks]),
      volumes: ({ id }) => this.#during([DISK], `volumes ${id}`, () => [volumeOf(id)]),
    };
  }

  #host(pausable: boolean, bearing: boolean): Protectable {
    const common: Protectable = {
      ...this.#common(HOST, () => Object.keys(this.#hosts)),
      groupsVolumes: true,
      ...(bearing && {
        volumes: ({ id }) => this.#during([HOST], `volumes ${id}`, () => [volumeOf(`own/${id}`)]),
      }),
    };
    if (!pausable) return common;
    return {
      ...common,
      quiescing: {
        quiesce: ({ id }, { token }) =>
          this.#during([HOST, 'quiesce'], `quiesce ${id}`, () => {
            this.#pauses.set(token, id);
            this.paused.add(id);
            this.log.push(`pause ${id}`);
            this.most.paused = Math.max(this.most.paused ?? 0, this.paused.size);
            return { id };
          }),
        unquiesce: async (token) => {
          const id = this.#pauses.get(token);
          if (id === undefined || !this.#pauses.delete(token)) return;
          await setImmediate();
          await this.before(`unquiesce ${id}`);
          this.paused.delete(id);
          this.log.push(`end ${id}`);
        },
      },
    };
  }

  #array(name: string, concurrency: number): StorageArray {
    const kinds = [`array ${name}`];
    return {
      contract: 1,
      name,
      capabilities: async () => ({ ...CAPABLE, group: this.#groups === undefined, concurrency }),
      ...(this.#groups && {
        isGroup: (volumes: readonly VolumeRef[]) => {
          const ids = volumes.map(({ id }) => id).join(' ');
          return this.#during(kinds, `isGroup ${ids}`, () => {
            this.log.push(`isGroup ${ids}`);
            return this.#groups?.includes(ids) === true;
          });
        },
      }),
      snapshot: (volumes, set, { taken, group }) => {
        const ids = volumes.map(({ id }) => id).join(' ');
        this.log.push(`snapshot ${ids}`);
        if (this.#groups && group === true) this.log.push(`group ${ids}`);
        return this.#during([...kinds, 'snapshot'], `snapshot ${ids}`, async () => {
          const takenAt = new Date(hastyClock.now()).toISOString();
          const made = volumes.map((volume) => ({ name: set, volume, reference: {}, takenAt }));
          this.snapshots.push(...made);
          if (this.#tells) {
            taken?.();
            await this.before(`finish ${ids}`);
          }
          return made;
        });
      },
      find: (set) =>
        this.#during(kinds, `find ${set}`, () => this.snapshots.filter((one) => one.name === set)),
      list: async function* () {
        yield* [];
      },
      remove: (snapshot) =>
        this.#during(kinds, `remove ${snapshot.volume.id}`, () => {
          const at = this.snapshots.findIndex(
            ({ name, volume }) => name === snapshot.name && volume.id === snapshot.volume.id,
          );
          if (at !== -1) this.snapshots.splice(at, 1);
        }),
      open: (snapshot) => this.#during(kinds, `open ${snapshot.volume.id}`, () => sourceOf(snapshot.volume)),
    };
  }
}

const CAPABLE = {
  group: true,
  pointInTime: true,
  changeBase: 'none',
  extents: 'map',
  nameLength: 48,
} as const;
const volumeOf = (id: string): VolumeRef => ({ array: id.split('/')[0] ?? '', id, size: SIZE });

function sourceOf({ id, size }: VolumeRef): Awaited<ReturnType<StorageArray['open']>> {
  const close = async (): Promise<void> => undefined;
  return {
    access: 'random',
    size,
    async *extents() {
      yield { offset: 0, length: size, kind: 'data' };
    },
    async readInto(_offset, into) {
      into.fill(id.length);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
