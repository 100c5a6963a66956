import * as z from 'zod';
import type { OpenStackClient } from '../../clients/openstack/index.ts';
import type {
  CallOptions,
  CopyCall,
  ExternalCopies,
  ExternalMade,
  ExternalSource,
  ReadCall,
  SnapshotCopy,
  StorageArray,
  Verification,
  VerifyRequest,
  VolumeSource,
  VolumeTarget,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Backup, Backups } from './backups.ts';
import { digestOf, digestOfEqual, readable, writeInto } from './bytes.ts';
import { type CinderBackupRecord, exportRecords } from './records.ts';
import { referenceOf } from './reference.ts';

/** What a store of backups is made of. */
export interface CinderBackupSettings {
  /** Unique within a provider. */
  readonly name: string;
  /** Where backups are. */
  readonly backups: Backups;
  /** Reads the volumes that backups are restored to. */
  readonly array: StorageArray;
  /** Backups in a chain at most. */
  readonly chain: number;
  /** Exports records, where there is one. */
  readonly administrator: OpenStackClient | undefined;
}

/** Keys of metadata. */
const KEYS = {
  /** The name that it was asked for under: it tells ours from those of others. */
  name: 'fafnir-name',
  /** Its place in its chain, from 1 on. */
  link: 'fafnir-link',
  /** Given up, and still there because others are built on it. */
  removed: 'fafnir-removed',
} as const;

const GIBIBYTE = 2 ** 30;

const snapshotReference = z.looseObject({ id: z.uuid() });

/** A volume that a backup was restored to, which goes when it is closed. */
interface Restored extends AsyncDisposable {
  readonly target: VolumeTarget;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Backups of Cinder as copies. */
export class CinderBackups implements ExternalCopies {
  readonly contract = 1;
  readonly kind = 'external';
  readonly name: string;
  readonly #settings: CinderBackupSettings;
  readonly #backups: Backups;

  constructor(settings: CinderBackupSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.#backups = settings.backups;
  }

  async create(source: ExternalSource, token: string, call: CopyCall): Promise<SnapshotCopy> {
    call.signal.throwIfAborted();
    const id = await this.#findOrMake(source, token, false, call);
    try {
      return await this.#copy(source, token, id, call);
    } catch (error) {
      if (!isNoCopy(error)) throw error;
      const isIncremental = linkOf(await this.#backups.get(id, call)) > 1;
      await this.removeMade(token, call);
      if (!isIncremental) throw notRestored(source, id, error);
    }
    // What it was built on may be what is wrong.
    const full = await this.#findOrMake(source, token, true, call);
    try {
      return await this.#copy(source, token, full, call);
    } catch (error) {
      if (!isNoCopy(error)) throw error;
      await this.removeMade(token, call);
      throw notRestored(source, full, error);
    }
  }

  // What it restores bears the name of the copy, and goes with that if it is never closed.
  async open(copy: SnapshotCopy, call: CallOptions): Promise<VolumeSource> {
    return await this.#open(copy, referenceOf(copy).token, call);
  }

  async #read(copy: SnapshotCopy, call: ReadCall): Promise<VolumeSource> {
    call.signal.throwIfAborted();
    // What a dead caller was reading.
    await this.#backups.removeVolumes(restoredName(call.token), call);
    return await this.#open(copy, call.token, call);
  }

  async #open(copy: SnapshotCopy, name: string, call: CallOptions): Promise<VolumeSource> {
    call.signal.throwIfAborted();
    const { id, digest } = referenceOf(copy);
    const backup = await this.#backups.get(id, call);
    if (backup.gibibytes * GIBIBYTE !== copy.volume.size) {
      throw new FafnirError('CORRUPT', `backup ${id} has ${backup.gibibytes} GiB, unlike its copy`);
    }
    const restored = await this.#restored(backup, name, call);
    const source = sourceOf(restored);
    try {
      const found = await digestOf(source, { ...call, progress: () => undefined });
      if (found === digest) return source;
      throw new FafnirError('CORRUPT', `backup ${id} restores something else than was backed up`);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  async restoreInto(copy: SnapshotCopy, target: VolumeTarget, call: ReadCall): Promise<number> {
    await using source = await this.#read(copy, call);
    const written = await writeInto(source, target, call);
    await digestOfEqual(source, target, { ...call, progress: () => undefined });
    return written;
  }

  async compare(copy: SnapshotCopy, target: VolumeTarget, call: ReadCall): Promise<void> {
    await using source = await this.#read(copy, call);
    await digestOfEqual(source, target, call);
  }

  // A backup cannot be looked at in part: it is restored, or only asked for.
  async verify(copy: SnapshotCopy, { sample }: VerifyRequest, call: ReadCall): Promise<Verification> {
    if (sample === 1) {
      await using _source = await this.#read(copy, call);
      call.progress(copy.volume.size);
      return { proof: 'source-compared', confidence: 1 };
    }
    const { id } = referenceOf(copy);
    const { status } = await this.#backups.get(id, call);
    if (status.startsWith('error')) {
      throw new FafnirError('CORRUPT', `backup ${id} is in the state ${status}`);
    }
    call.progress(copy.volume.size);
    return { proof: 'stored', confidence: 0 };
  }

  async remove(copy: SnapshotCopy, call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    const { token } = referenceOf(copy);
    await this.#backups.removeVolumes(restoredName(token), call);
    for (const backup of await this.#named(token, call)) await this.#giveUp(backup, call);
    await this.#removeGivenUp(copy.volume.id, call);
  }

  async removeMade(token: string, call: CallOptions): Promise<readonly string[]> {
    call.signal.throwIfAborted();
    const restored = await this.#backups.removeVolumes(restoredName(token), call);
    const made = await this.#named(token, call);
    for (const backup of made) await this.#giveUp(backup, call);
    for (const volume of new Set(made.map(({ volumeId }) => volumeId)))
      await this.#removeGivenUp(volume, call);
    return [
      ...made.map(({ id, volumeId }) => `backup ${id} of volume ${volumeId}`),
      ...restored.map((id) => `volume ${id}, which a backup was restored to,`),
    ];
  }

  async *list(prefix: string, call: CallOptions): AsyncIterable<ExternalMade> {
    // Before the backups: to what is there now for a copy that is being made, there is a backup then.
    const restored = new Map<string, string[]>();
    for await (const { id, name } of this.#backups.volumes({}, call)) {
      const token = tokenIn(name);
      if (token?.startsWith(prefix)) restored.set(token, [...(restored.get(token) ?? []), id]);
    }
    for await (const backup of this.#backups.each({}, call)) {
      const { name, volumeId } = backup;
      if (!isOurs(backup) || !name.startsWith(prefix)) continue;
      restored.delete(name);
      if (!isGivenUp(backup)) yield { token: name, volume: volumeId };
    }
    for (const [token, ids] of restored) for (const volume of ids) yield { token, volume };
  }

  /** The backup that an earlier call asked for under the token, or a new one; Cinder says that it is available. */
  async #findOrMake(
    { snapshot }: ExternalSource,
    token: string,
    isFull: boolean,
    call: CallOptions,
  ): Promise<string> {
    const parsed = snapshotReference.safeParse(snapshot.reference);
    if (snapshot.volume.array !== this.#settings.array.name || !parsed.success) {
      throw new FafnirError(
        'UNSUPPORTED',
        `${this.name} copies snapshots of array ${this.#settings.array.name}, and no others`,
      );
    }
    const snapshotId = parsed.data.id;
    const [found, ...others] = await this.#named(token, call);
    // Of two that were asked for at once the older counts.
    for (const other of others) await this.#giveUp(other, call);
    if (found !== undefined && found.snapshotId !== snapshotId) {
      throw new FafnirError('ALREADY_EXISTS', `backup ${token} exists, of another snapshot`);
    }
    const isUsable = found !== undefined && !found.status.startsWith('error') && !isGivenUp(found);
    if (found !== undefined && !isUsable) await this.#backups.remove(found.id, call);
    const id = isUsable ? found.id : await this.#make({ snapshot, snapshotId }, token, isFull, call);
    try {
      await this.#backups.awaitAvailable(id, call);
    } catch (error) {
      // One that is still being made is found by the next call.
      if (FafnirError.is(error, 'PLUGIN_FAILED')) await this.#backups.remove(id, call);
      throw error;
    }
    return id;
  }

  async #make(
    of: Pick<ExternalSource, 'snapshot'> & { readonly snapshotId: string },
    name: string,
    isFull: boolean,
    call: CallOptions,
  ): Promise<string> {
    const { snapshot, snapshotId } = of;
    const link = isFull ? 1 : await this.#nextLink(snapshot, call);
    return await this.#backups.create(
      {
        name,
        volumeId: snapshot.volume.id,
        snapshotId,
        isIncremental: link > 1,
        metadata: { [KEYS.name]: name, [KEYS.link]: String(link) },
      },
      call,
    );
  }

  /** 1 for a full backup: where the one that Cinder would build on is none to rely on, or the chain is long enough. */
  async #nextLink({ volume, takenAt }: ExternalSource['snapshot'], call: CallOptions): Promise<number> {
    if (this.#settings.chain === 1) return 1;
    const all = await this.#backups.list({ volume_id: volume.id }, call);
    const latest = all.reduce<Backup | undefined>(
      (best, one) => (best === undefined || one.takenAt > best.takenAt ? one : best),
      undefined,
    );
    const isGood =
      latest?.status === 'available' &&
      latest.takenAt < takenAt &&
      latest.gibibytes * GIBIBYTE === volume.size &&
      isOurs(latest) &&
      !isGivenUp(latest);
    return isGood && linkOf(latest) < this.#settings.chain ? linkOf(latest) + 1 : 1;
  }

  /** The copy, proven as far as asked. */
  async #copy(source: ExternalSource, name: string, id: string, call: CopyCall): Promise<SnapshotCopy> {
    const { snapshot, proof: wanted } = source;
    const isCompared = wanted === 'source-compared' || wanted === 'restored';
    const digest = isCompared
      ? await this.#compared(source, name, id, call)
      : await digestOfSource(source, call);
    const { administrator } = this.#settings;
    const records: readonly CinderBackupRecord[] | undefined =
      administrator && (await exportRecords(administrator, id, call));
    return {
      kind: 'external',
      location: this.name,
      reference: { id, token: name, digest, ...(records && { records: records.map((one) => ({ ...one })) }) },
      volume: snapshot.volume,
      takenAt: snapshot.takenAt,
      proof: isCompared ? 'source-compared' : 'stored',
    };
  }

  async #compared(source: ExternalSource, name: string, id: string, call: CopyCall): Promise<string> {
    // What a dead caller was comparing with.
    await this.#backups.removeVolumes(restoredName(name), call);
    await using restored = await this.#restored(await this.#backups.get(id, call), name, call);
    await using opened = await source.open(call);
    return await digestOfEqual(opened, restored.target, call);
  }

  async #restored(backup: Backup, name: string, call: CallOptions): Promise<Restored> {
    const { array } = this.#settings;
    if (array.target === undefined) {
      throw new FafnirError(
        'UNSUPPORTED',
        `array ${array.name} has no way to read a volume that was restored`,
      );
    }
    const id = await this.#backups.restore(backup, restoredName(name), call);
    const volume = { array: array.name, id, size: backup.gibibytes * GIBIBYTE };
    const remove = (): Promise<void> =>
      this.#backups.removeVolume(volume, { signal: new AbortController().signal });
    try {
      const target = await array.target.openForWrite(volume, call);
      return {
        target,
        [Symbol.asyncDispose]: async () => {
          await target.close();
          await remove();
        },
      };
    } catch (error) {
      await remove();
      if (!FafnirError.is(error, 'UNSUPPORTED')) throw error;
      // Such as the overlay of a file in place of a volume.
      throw new FafnirError('CORRUPT', `backup ${backup.id} restores no volume: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** Ours of the name, the oldest first. */
  async #named(name: string, call: CallOptions): Promise<readonly Backup[]> {
    const found = await this.#backups.list({ name }, call);
    const ours = found.filter((one) => one.name === name && isOurs(one));
    return ours.toSorted((a, b) => Number(a.id > b.id) - Number(a.id < b.id));
  }

  /** Removes a backup, or marks it where others are built on it. */
  async #giveUp({ id, isNeeded, metadata }: Backup, call: CallOptions): Promise<void> {
    if (!isNeeded) {
      try {
        await this.#backups.remove(id, call);
        return;
      } catch (error) {
        if (!FafnirError.is(error, 'BUSY')) throw error;
        // One may have been built on it meanwhile; whatever else it is, is for the caller to know.
        if (!(await this.#backups.get(id, call)).isNeeded) throw error;
      }
    }
    await this.#backups.mark(id, { ...metadata, [KEYS.removed]: 'true' }, call);
  }

  /** Removes those that were given up and that nothing is built on any more, which may set free others. */
  async #removeGivenUp(volumeId: string, call: CallOptions): Promise<void> {
    for (;;) {
      const all = await this.#backups.list({ volume_id: volumeId }, call);
      const free = all.filter((one) => isGivenUp(one) && !one.isNeeded && isOurs(one));
      if (free.length === 0) return;
      for (const { id } of free) await this.#backups.remove(id, call);
    }
  }
}

const RESTORED = '-restored';
const restoredName = (token: string): string => token + RESTORED;
/** The token that a volume is named by, if it is one that a backup was restored to. */
const tokenIn = (name: string): string | undefined =>
  name.endsWith(RESTORED) ? name.slice(0, -RESTORED.length) : undefined;
/** A name alone may be anybody's. */
const isOurs = ({ name, metadata }: Backup): boolean => name === metadata[KEYS.name];
const isGivenUp = ({ metadata }: Backup): boolean => metadata[KEYS.removed] === 'true';
const linkOf = ({ metadata }: Backup): number => Number(metadata[KEYS.link] ?? 1);

async function digestOfSource(source: ExternalSource, call: CopyCall): Promise<string> {
  await using opened = await source.open(call);
  return await digestOf(opened, call);
}

const isNoCopy = (error: unknown): error is FafnirError =>
  FafnirError.is(error, 'NOT_PROVEN') || FafnirError.is(error, 'CORRUPT');

const notRestored = ({ snapshot }: ExternalSource, id: string, cause: FafnirError): FafnirError =>
  new FafnirError(
    'NOT_PROVEN',
    `Cinder called backup ${id} of volume ${snapshot.volume.id} available, and it is no copy: ${cause.message}`,
    {
      cause,
      retryable: false,
      hint: 'Do not rely on backups of this backend; archive its snapshots in the bank, or move the volume.',
    },
  );

function sourceOf({ target, [Symbol.asyncDispose]: close }: Restored): VolumeSource {
  let closed: Promise<void> | undefined;
  const closeOnce = async (): Promise<void> => {
    closed ??= close();
    await closed;
  };
  return {
    access: 'random',
    ...readable(target),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}
