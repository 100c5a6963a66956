import assert from 'node:assert/strict';
import type {
  CopyCall,
  ExternalSource,
  ReadCall,
  SnapshotCopy,
  VolumeRef,
  VolumeTarget,
} from '../../core/contracts/index.ts';
import {
  assertBytes,
  call,
  collect,
  MIB,
  pattern,
  readSource,
  sizeIn,
  snapshotOne,
  targetOf,
  volumeWith,
} from '../storage-array/helpers.ts';
import type { ExternalCopiesFixture } from './obligation.ts';

/** A call that nobody aborts, and nobody counts. */
export const counted: CopyCall = { ...call, progress: () => undefined };
/** What names a creation, as the engine names it. */
export const newToken = (): string => `faf-${crypto.randomUUID()}-abc`;

/** A reading of its own. */
export const reading = (): ReadCall => ({ ...counted, token: newToken() });

/** Where a volume has bytes that are no zeros, and what tells one from another. */
const PLACES = [0, 700_000];
const LENGTH = 10_000;

/** A volume whose bytes are told by the seed. */
export const volumeOf = (fixture: ExternalCopiesFixture, seed: number): Promise<VolumeRef> =>
  volumeWith(
    fixture,
    sizeIn(fixture, MIB),
    PLACES.map((at) => [at, pattern(LENGTH, seed)]),
  );

/** Changes all that is told by the seed. */
export async function change(fixture: ExternalCopiesFixture, volume: VolumeRef, seed: number): Promise<void> {
  for (const at of PLACES) await fixture.write(volume, at, pattern(LENGTH, seed));
}

/** A new snapshot of a volume, to make a copy of. */
export async function sourceOf(
  { array }: ExternalCopiesFixture,
  volume: VolumeRef,
  proof: ExternalSource['proof'] = 'source-compared',
): Promise<ExternalSource> {
  const snapshot = await snapshotOne(array, volume, newToken());
  return { volume, snapshot, proof, open: (inner) => array.open(snapshot, {}, inner) };
}

/** A copy of a volume as it is. */
export async function copyOf(fixture: ExternalCopiesFixture, volume: VolumeRef): Promise<SnapshotCopy> {
  return fixture.store.create(await sourceOf(fixture, volume), newToken(), counted);
}

/** A new volume of another content, opened for writing. */
export async function targetFor(fixture: ExternalCopiesFixture, seed: number): Promise<VolumeTarget> {
  return targetOf(fixture.array).openForWrite(await volumeOf(fixture, seed), call);
}

/** Asserts that a copy has the bytes of the seed and zeros elsewhere. */
export async function assertHolds(
  { store }: ExternalCopiesFixture,
  copy: SnapshotCopy,
  seed: number,
): Promise<void> {
  await using source = await store.open(copy, call);
  assert.equal(source.size, copy.volume.size);
  const extents = await collect(source.extents(call));
  assert.equal(
    extents.reduce((sum, { length }) => sum + length, 0),
    source.size,
    'the extents are not all of it',
  );
  if (source.size <= MIB) assertBytes(await readSource(source), contentOf(source.size, seed));
  else await assertTold(source, seed);
}

/** Asserts that an opened volume tells the seed where it is told. */
export async function assertTold(source: Pick<VolumeTarget, 'readInto'>, seed: number): Promise<void> {
  const start = new Uint8Array(MIB);
  await source.readInto(0, start, call);
  assertBytes(start, contentOf(MIB, seed));
}

function contentOf(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const at of PLACES) bytes.set(pattern(LENGTH, seed), at);
  return bytes;
}

/** Asserts that nothing is there under the token of a reading. */
export async function assertNoneOf({ store }: ExternalCopiesFixture, { token }: ReadCall): Promise<void> {
  const listed = await collect(store.list(token, call));
  assert.deepEqual(
    listed.filter((one) => one.token === token),
    [],
  );
  assert.deepEqual([...(await store.removeMade(token, call))], [], 'what was made to be read stays');
}
