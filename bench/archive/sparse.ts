import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { changeFile } from './change.ts';
import { ours } from './ours.ts';
import type { Sheet } from './sheet.ts';

const MEBIBYTE = 1024 * 1024;
const SPARSE_BYTES = 1024 ** 4;
const CHANGES = 1_000;
const CHANGE_BYTES = 4096;
// As for any volume with small changes all over.
const CHUNK_BYTES = 256 * 1024;

/** The operations, as the sheet names them. */
export const SPARSE_OPERATIONS = {
  dense: 'data alone',
  sparse: 'sparse 1 TiB',
  changed: 'sparse 1 TiB, changed',
} as const;

/**
 * Archives a volume of 1 TiB with a quarter of the image's size of data in runs of 1 MiB, far from each other, and a
 * volume of nothing but these runs; then the first again with a thousand small changes, told by a change map.
 */
export async function playSparse(
  name: string,
  { image, folder, sheet, seed }: { image: string; folder: string; sheet: Sheet; seed: string },
): Promise<void> {
  const volumes = { dense: join(folder, 'dense.img'), sparse: join(folder, 'sparse.img') };
  await makeVolumes(image, volumes);
  const start = async (kind: keyof typeof volumes) => {
    const own = join(folder, kind);
    await mkdir(own);
    return ours(name, { chunkSize: CHUNK_BYTES }).start({ folder: own, volume: volumes[kind] });
  };
  const [dense, sparse] = [await start('dense'), await start('sparse')];
  const pair = [
    { operation: SPARSE_OPERATIONS.dense, copies: dense },
    { operation: SPARSE_OPERATIONS.sparse, copies: sparse },
  ];
  await sheet.inTurns(pair, async ({ operation, copies }) => {
    sheet.enter(operation, name, await copies.copy('unknown'));
  });
  const changed = await changeFile(volumes.sparse, { count: CHANGES, length: CHANGE_BYTES, seed });
  sheet.enter(SPARSE_OPERATIONS.changed, name, await sparse.copy(changed));
}

/** Makes a volume of a quarter of the image's size in data, and one of 1 TiB with the same data far from each other. */
export async function makeVolumes(image: string, paths: { dense: string; sparse: string }): Promise<void> {
  await using from = await open(image);
  await using dense = await open(paths.dense, 'wx');
  await using sparse = await open(paths.sparse, 'wx');
  const { size } = await from.stat();
  const runs = Math.ceil(size / 4 / MEBIBYTE);
  const distance = Math.floor(SPARSE_BYTES / MEBIBYTE / runs) * MEBIBYTE;
  const buffer = Buffer.alloc(MEBIBYTE);
  const zeros = Buffer.alloc(MEBIBYTE);
  let count = 0;
  for (let offset = 0; count < runs && offset < size; offset += MEBIBYTE) {
    const { bytesRead } = await from.read(buffer, 0, MEBIBYTE, offset);
    if (bytesRead < MEBIBYTE || buffer.equals(zeros)) continue;
    await dense.write(buffer, 0, MEBIBYTE, count * MEBIBYTE);
    await sparse.write(buffer, 0, MEBIBYTE, count * distance);
    count += 1;
  }
  if (count < runs) throw new Error(`${image} has only ${count} MiB of data, not ${runs}`);
  await sparse.truncate(SPARSE_BYTES);
}
