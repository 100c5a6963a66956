import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChangeRequest, changeFile, type Range } from './change.ts';
import type { Archiver, Contender, Copies, Place, Repository } from './contender.ts';
import type { OwnArchiver } from './ours.ts';
import { run } from './programs.ts';
import type { Sheet } from './sheet.ts';

const MEBIBYTE = 1024 * 1024;
const CHANGED_SHARE = 0.01;

/** The operations, as the figures name them. */
export const OPERATIONS = {
  full: 'full',
  unchanged: 'unchanged',
  deepVerify: 'deep verify',
  tagsVerify: 'tags verify',
  restore: 'restore',
  clustered: 'changed 1 MiB runs',
  scattered: 'changed 64 KiB runs',
} as const;

/** Who takes part. */
export interface Contenders {
  /** The package's archive. */
  readonly ours: OwnArchiver;
  /** The same with small chunks; measured only where changes are scattered. */
  readonly fine: OwnArchiver;
  /** Others with a repository. */
  readonly rivals: readonly Archiver[];
  /** Those who only copy. */
  readonly copiers: readonly Contender[];
}

interface Started<Kind extends Copies> {
  readonly name: string;
  readonly copies: Kind;
}

/** Everybody does everything once, in folders below `folder`, with a copy of the image that nothing has changed yet. */
export async function playRound(
  { ours, fine, rivals, copiers }: Contenders,
  { image, folder, sheet, seed }: { image: string; folder: string; sheet: Sheet; seed: string },
): Promise<void> {
  const volume = join(folder, 'volume.img');
  await run('cp', ['--sparse=always', image, volume]);
  const placeOf = async (name: string): Promise<Place> => {
    const own = join(folder, name.replaceAll(/\W+/g, '-'));
    await mkdir(own);
    return { folder: own, volume };
  };
  const own = await ours.start(await placeOf(ours.name));
  const small = await fine.start(await placeOf(fine.name));
  const archivers: Started<Repository>[] = [{ name: ours.name, copies: own }];
  for (const { name, start } of rivals) archivers.push({ name, copies: await start(await placeOf(name)) });
  const all: Started<Copies>[] = [...archivers];
  for (const { name, start } of copiers) all.push({ name, copies: await start(await placeOf(name)) });
  // So that everybody finds it in memory, also the first.
  await run('cmp', [image, volume]);

  const copy = (
    operation: string,
    who: readonly Started<Copies>[],
    changed: 'unknown' | readonly Range[],
  ): Promise<void> =>
    sheet.inTurns(who, async ({ name, copies }) => {
      sheet.enter(operation, name, await copies.copy(changed));
      if (copies === own) sheet.set(`${operation}/delay`, own.delay);
    });
  const change = async (length: number): Promise<readonly Range[]> => {
    const { size } = await stat(volume);
    const count = Math.max(1, Math.round((size * CHANGED_SHARE) / length));
    const request: ChangeRequest = { count, length, seed: `${seed}, ${length}` };
    return changeFile(volume, request);
  };

  await copy(OPERATIONS.full, all, 'unknown');
  for (const { name, copies } of archivers) sheet.set(`stored/${name}`, await bytesBelow(copies.folder));
  await copy(OPERATIONS.unchanged, archivers, 'unknown');
  // Before anything changes: what is checked is then what one copy needs, for everybody.
  await sheet.inTurns(archivers, async ({ name, copies }) => {
    sheet.enter(OPERATIONS.deepVerify, name, await copies.verify());
  });
  sheet.enter(OPERATIONS.tagsVerify, ours.name, await own.verifyTags());
  await restoreAll(sheet, all, folder, volume);

  await copy(OPERATIONS.clustered, archivers, await change(MEBIBYTE));
  await small.copy('unknown');
  const scattering = [...archivers, { name: fine.name, copies: small }];
  const before = await Promise.all(scattering.map(({ copies }) => bytesBelow(copies.folder)));
  await copy(OPERATIONS.scattered, scattering, await change(MEBIBYTE / 16));
  for (const [at, { name, copies }] of scattering.entries()) {
    sheet.set(`growth/${name}`, (await bytesBelow(copies.folder)) - (before[at] ?? NaN));
  }
}

async function restoreAll(
  sheet: Sheet,
  all: readonly Started<Copies>[],
  folder: string,
  volume: string,
): Promise<void> {
  await sheet.inTurns(all, async ({ name, copies }) => {
    const target = join(folder, 'restored');
    await mkdir(target);
    const { cost, path } = await copies.restore(target);
    sheet.enter(OPERATIONS.restore, name, cost);
    // Who is fast and wrong has not won.
    await run('cmp', [volume, path]);
    await rm(target, { recursive: true });
  });
}

/** Bytes of all files below a folder. */
export async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
