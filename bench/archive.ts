import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { figuresOf } from './archive/figures.ts';
import { makeImage } from './archive/image.ts';
import { ours } from './archive/ours.ts';
import { assertPrograms } from './archive/programs.ts';
import { borg, pipeline, plainCopy, restic } from './archive/rivals.ts';
import { playRound } from './archive/round.ts';
import { Sheet } from './archive/sheet.ts';
import { playSparse } from './archive/sparse.ts';
import type { Figure } from './figure.ts';

const ROUNDS = 5;
const IMAGE_MEBIBYTES = 4096;
const SMALL_CHUNK = 256 * 1024;
const NAME = 'fafnir';

/**
 * Archives of a 4 GiB image of a virtual machine's disk, beside restic and borg with a repository in a folder: full,
 * unchanged, with changes that a change map tells, verified, restored. Every run is a process of its own, and everybody
 * encrypts, compresses and makes durable. `BENCH_ROUNDS` and `BENCH_IMAGE_MIB` make it shorter; `BENCH_KEEP=1` keeps
 * the image for the next time.
 */
export async function run(): Promise<readonly Figure[]> {
  const rounds = numberOf('BENCH_ROUNDS', ROUNDS);
  const mebibytes = numberOf('BENCH_IMAGE_MIB', IMAGE_MEBIBYTES);
  await assertPrograms();
  const contenders = {
    ours: ours(NAME),
    fine: ours(`${NAME}, small chunks`, SMALL_CHUNK),
    rivals: [await restic(), await borg()],
    copiers: [await pipeline(), await plainCopy()],
  };
  const image = await makeImage(mebibytes);
  const sheets: Sheet[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const sheet = new Sheet(round);
      for (const play of [
        (folder: string) => playRound(contenders, { image, folder, sheet, seed: `round ${round}` }),
        (folder: string) => playSparse(NAME, { image, folder, sheet, seed: `sparse ${round}` }),
      ]) {
        await inFolder(play);
      }
      sheets.push(sheet);
    }
  } finally {
    if (process.env.BENCH_KEEP === undefined) await rm(image, { force: true });
  }
  const others = [...contenders.rivals, ...contenders.copiers];
  return figuresOf(sheets, {
    ours: contenders.ours.name,
    fine: contenders.fine.name,
    labels: new Map(others.map(({ name, label }) => [name, label])),
  });
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function numberOf(name: string, otherwise: number): number {
  const number = Number(process.env[name] ?? otherwise);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new Error(`${name} is a whole number from 1 on`);
}
