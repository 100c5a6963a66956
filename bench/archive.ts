import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { figuresOf } from './archive/figures.ts';
import { makeImage } from './archive/image.ts';
import { playLanes } from './archive/lanes.ts';
import { ours } from './archive/ours.ts';
import { assertPrograms } from './archive/programs.ts';
import { borg, pipeline, plainCopy, restic } from './archive/rivals.ts';
import { playRound } from './archive/round.ts';
import { readSettings } from './archive/settings.ts';
import { Sheet } from './archive/sheet.ts';
import { playSparse } from './archive/sparse.ts';
import type { Figure } from './figure.ts';

const SMALL_CHUNK = 256 * 1024;
const NAME = 'fafnir';

/**
 * Archives of a 4 GiB image of a virtual machine's disk, beside restic and borg with a repository in a folder: full,
 * unchanged, with changes that a change map tells, verified, restored. Every run is a process of its own, and everybody
 * encrypts, compresses and makes durable. `BENCH_ROUNDS` and `BENCH_IMAGE_MIB` make it shorter; `BENCH_KEEP=1` keeps
 * the image for the next time.
 */
export async function run(): Promise<readonly Figure[]> {
  const { rounds, mebibytes, keep } = readSettings();
  await assertPrograms({ restic: 'restic', borg: 'borgbackup' });
  const contenders = {
    ours: ours(NAME),
    fine: ours(`${NAME}, small chunks`, { chunkSize: SMALL_CHUNK }),
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
        (folder: string) => playLanes(NAME, { image, folder, sheet }),
      ]) {
        await inFolder(play);
      }
      sheets.push(sheet);
    }
  } finally {
    if (!keep) await rm(image, { force: true });
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
