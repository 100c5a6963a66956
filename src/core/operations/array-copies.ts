import * as z from 'zod';
import type {
  ArraySnapshot,
  Block,
  CallOptions,
  CopyCall,
  CopySource,
  CopyStore,
  OpenOptions,
  Provider,
  ReadCall,
  SequentialSource,
  SnapshotCopy,
  SnapshotOptions,
  Verification,
  VerifyRequest,
  StorageArray,
  VolumeSource,
  VolumeTarget,
} from '../contracts/index.ts';
import { jsonObject, text } from '../archive/schema-parts.ts';
import { streamed } from '../archive/volume/streamed-source.ts';
import { FafnirError } from '../errors.ts';
import { currentMeter } from '../meter.ts';
import { NAME_PREFIX } from './tokens.ts';

const BLOCK = 1024 * 1024;
const referenceSchema = z.strictObject({ name: text, reference: jsonObject });

function countArray(bytes: number): void {
  const meter = currentMeter();
  if (meter !== undefined) meter.array += bytes;
}

/** Copies that are snapshots on a provider's arrays. */
export class ArrayCopies implements CopyStore {
  readonly kind = 'array';
  readonly #provider: Provider;

  constructor(provider: Provider) {
    this.#provider = provider;
  }

  async create(
    sources: readonly CopySource[],
    token: string,
    call: CopyCall & SnapshotOptions,
  ): Promise<readonly SnapshotCopy[]> {
    const volumes = sources.map(({ volume }) => volume);
    const array = this.array(volumes[0]?.array ?? '');
    const snapshots = await array.snapshot(volumes, token, call);
    const found = new Map((await array.find(token, call)).map((one) => [one.volume.id, one]));
    for (const { volume, takenAt } of snapshots) {
      const kept = found.get(volume.id);
      const said = `array ${array.name} says it has a snapshot of ${volume.id} of ${takenAt}`;
      if (kept === undefined) throw new FafnirError('WRONG_ANSWER', `${said}, but has none`);
      if (kept.takenAt !== takenAt || kept.volume.size !== volume.size) {
        throw new FafnirError('WRONG_ANSWER', `${said}, but has another, of ${kept.takenAt}`);
      }
    }
    for (const { volume } of snapshots) countArray(volume.size);
    return snapshots.map((snapshot) => copyOf(array, snapshot));
  }

  async open(copy: SnapshotCopy, call: CallOptions): Promise<VolumeSource> {
    const source = await this.openSince(copy, undefined, call);
    if (source.access === 'random') return source;
    await source.close();
    const message = `a snapshot on array ${copy.location} can only be read from its start to its end`;
    throw new FafnirError('UNSUPPORTED', message);
  }

  /**
   * Opens a copy so that it tells what changed since an older one, where the array can do that and the older one is
   * still there; otherwise without. The call's token is the reader's.
   */
  async openSince(
    copy: SnapshotCopy,
    older: SnapshotCopy | undefined,
    { token, ...call }: CallOptions & Pick<OpenOptions, 'token'>,
  ): Promise<VolumeSource | SequentialSource> {
    const array = this.array(copy.location);
    const reader = token === undefined ? {} : { token };
    if (older !== undefined && (await array.capabilities(call)).changeBase === 'snapshot') {
      try {
        return await array.open(snapshotOf(copy), { since: snapshotOf(older), ...reader }, call);
      } catch (error) {
        if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      }
    }
    return array.open(snapshotOf(copy), reader, call);
  }

  async restoreInto(copy: SnapshotCopy, target: VolumeTarget, call: ReadCall): Promise<number> {
    await using opened = await this.openSince(copy, undefined, call);
    if (opened.size !== target.size) {
      throw new FafnirError('UNSUPPORTED', `a copy of ${opened.size} bytes into a volume of ${target.size}`);
    }
    const isStreamed = opened.access === 'sequential' && target.receive !== undefined;
    const written = isStreamed
      ? await receiveAll(target, opened, call)
      : await writeAll(target, readable(opened), call);
    await target.flush(call);
    // Opens it anew, for it may be a stream.
    await this.compare(copy, target, { ...call, progress: () => undefined });
    return written;
  }

  async compare(copy: SnapshotCopy, target: VolumeTarget, call: ReadCall): Promise<void> {
    await using opened = await this.openSince(copy, undefined, call);
    if (opened.size !== target.size) {
      throw new FafnirError('NOT_PROVEN', `the restored volume has ${target.size} bytes, not ${opened.size}`);
    }
    const source = readable(opened);
    for await (const { offset, length, kind } of blocks(source, call)) {
      const [was, is] = [new Uint8Array(length), new Uint8Array(length)];
      // A stream has nothing of what it calls zero.
      const isRead = kind === 'data' || opened.access === 'random';
      const reading = isRead ? source.readInto(offset, was, call) : undefined;
      await Promise.all([reading, target.readInto(offset, is, call)]);
      if (Buffer.compare(was, is) !== 0) {
        throw new FafnirError(
          'NOT_PROVEN',
          `the restored volume differs between bytes ${offset} and ${offset + length}`,
        );
      }
      call.progress(length);
    }
  }

  /** Has the array make the copy's volume again what it was, which proves nothing; `UNSUPPORTED` where it cannot. */
  async revert(copy: SnapshotCopy, call: CallOptions): Promise<void> {
    const array = this.array(copy.location);
    if (array.revert === undefined) {
      throw new FafnirError('UNSUPPORTED', `array ${array.name} reverts no volumes`);
    }
    await array.revert(snapshotOf(copy), call);
  }

  // An array offers no second way to read a snapshot, so all that can be shown is that it is there.
  async verify(copy: SnapshotCopy, _request: VerifyRequest, call: CopyCall): Promise<Verification> {
    const snapshot = snapshotOf(copy);
    const found = await this.array(copy.location).find(snapshot.name, call);
    if (!found.some((one) => isSameSnapshot(one, copy))) {
      throw new FafnirError(
        'NOT_FOUND',
        `array ${copy.location} has no snapshot ${snapshot.name} of ${copy.volume.id}`,
      );
    }
    call.progress(copy.volume.size);
    return { proof: 'stored', confidence: 0 };
  }

  async remove(copy: SnapshotCopy, call: CallOptions): Promise<void> {
    const array = this.array(copy.location);
    const snapshot = snapshotOf(copy);
    const isOurs = snapshot.name.startsWith(NAME_PREFIX);
    const removed = (one: ArraySnapshot): boolean =>
      isOurs ? one.volume.id === copy.volume.id : isSameSnapshot(one, snapshot);
    // What others took was never counted, and what is gone was counted when it went.
    const isCounted = isOurs && (await array.find(snapshot.name, call)).some(removed);
    await array.remove(snapshot, call);
    if (isCounted) countArray(-copy.volume.size);
    await assertRemoved(array, snapshot.name, removed, call);
  }

  /**
   * Removes whatever an attempt to make copies under this token left on an array, but for the volumes to be kept.
   * Resolves with the ids of the volumes whose snapshots there were.
   */
  async removeAll(
    location: string,
    token: string,
    kept: ReadonlySet<string>,
    call: CallOptions,
  ): Promise<readonly string[]> {
    const array = this.array(location);
    const removed = new Set<string>();
    for (const snapshot of await array.find(token, call)) {
      if (kept.has(snapshot.volume.id)) continue;
      await array.remove(snapshot, call);
      countArray(-snapshot.volume.size);
      removed.add(snapshot.volume.id);
    }
    if (removed.size > 0) await assertRemoved(array, token, ({ volume }) => removed.has(volume.id), call);
    return [...removed];
  }

  /** The array of this name, or `UNKNOWN_ARRAY`. */
  array(name: string): StorageArray {
    const array = this.#provider.arrays.get(name);
    if (array === undefined) {
      throw new FafnirError('UNKNOWN_ARRAY', `provider ${this.#provider.name} has no array ${name}`);
    }
    return array;
  }
}

// An array may say that it has removed what is still there, and then somebody must learn of it.
async function assertRemoved(
  array: StorageArray,
  name: string,
  isRemoved: (snapshot: ArraySnapshot) => boolean,
  call: CallOptions,
): Promise<void> {
  const left = (await array.find(name, call)).filter(isRemoved);
  if (left.length === 0) return;
  const volumes = left.map(({ volume }) => volume.id).join(', ');
  throw new FafnirError(
    'WRONG_ANSWER',
    `array ${array.name} says it has removed snapshot ${name} of ${volumes}, which is still there`,
  );
}

async function holds(
  target: VolumeTarget,
  offset: number,
  bytes: Uint8Array,
  call: CallOptions,
): Promise<boolean> {
  const now = new Uint8Array(bytes.length);
  await target.readInto(offset, now, call);
  return Buffer.compare(now, bytes) === 0;
}

// Only data is read of a stream, so it need not keep more.
const readable = (source: VolumeSource | SequentialSource): VolumeSource =>
  source.access === 'random' ? source : streamed(source, 1);

/** Writes what a source has, piece by piece; resolves with the bytes written. */
async function writeAll(target: VolumeTarget, source: VolumeSource, call: CopyCall): Promise<number> {
  await target.clear?.(call);
  const { blank } = target;
  let written = 0;
  for await (const { offset, length, kind } of blocks(source, call)) {
    if (kind === 'data') {
      const bytes = new Uint8Array(length);
      await source.readInto(offset, bytes, call);
      if (blank || !(await holds(target, offset, bytes, call))) {
        await target.write(offset, bytes, call);
        written += length;
      }
    } else if (!blank) {
      await target.zero(offset, length, call);
    }
    call.progress(length);
  }
  return written;
}

/** Hands a stream to a target that takes one; resolves with the bytes written. */
async function receiveAll(target: VolumeTarget, source: SequentialSource, call: CopyCall): Promise<number> {
  let written = 0;
  async function* counted(): AsyncGenerator<Block> {
    for await (const block of source.blocks(call)) {
      yield block;
      const length = block.kind === 'data' ? block.data.length : block.length;
      if (block.kind === 'data') written += length;
      call.progress(length);
    }
  }
  await target.receive?.(counted(), call);
  return written;
}

/** A snapshot on an array as a copy. */
export function copyOf(
  array: StorageArray,
  { name, volume, reference, takenAt }: ArraySnapshot,
): SnapshotCopy {
  return {
    kind: 'array',
    location: array.name,
    reference: { name, reference },
    volume,
    takenAt,
    proof: 'stored',
  };
}

/**
 * Whether what an array has under the name of a snapshot is that one: those who named it themselves may have given the name
 * to another since.
 */
export const isSameSnapshot = (
  found: Pick<ArraySnapshot, 'volume' | 'takenAt'>,
  wanted: Pick<ArraySnapshot, 'volume' | 'takenAt'>,
): boolean => found.volume.id === wanted.volume.id && found.takenAt === wanted.takenAt;

/** The name of the snapshot that a copy on an array is; `CORRUPT` where its record names none. */
export const snapshotNameOf = (copy: SnapshotCopy): string => snapshotOf(copy).name;

/** The snapshot that a copy on an array is; `CORRUPT` where its record names none. */
export function snapshotOf({ reference, volume, takenAt }: SnapshotCopy): ArraySnapshot {
  const parsed = referenceSchema.safeParse(reference);
  if (!parsed.success) {
    throw new FafnirError('CORRUPT', `the record of a copy on array ${volume.array} names no snapshot`);
  }
  return { ...parsed.data, volume, takenAt };
}

async function* blocks(
  source: VolumeSource,
  call: CallOptions,
): AsyncGenerator<{ offset: number; length: number; kind: 'data' | 'zero' | 'same' }> {
  for await (const { offset, length, kind } of source.extents(call)) {
    for (let done = 0; done < length; done += BLOCK) {
      yield { offset: offset + done, length: Math.min(BLOCK, length - done), kind };
    }
  }
}
