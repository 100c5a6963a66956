import { execFile } from 'node:child_process';
import { cp, mkdir, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type SeededBytes, seededBytes, seededText } from './seeded.ts';

const PIECE = 1024 ** 2;
const run = promisify(execFile);
// Where e2fsprogs is for those who are not root.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** What a volume is filled with: a file system where the machine can make one, else runs of data and holes. */
export async function fillVolume(volume: string, size: number, stage: string): Promise<void> {
  await writeFile(volume, '');
  await truncate(volume, size);
  const random = seededBytes(basename(volume));
  if (await canMakeFileSystems()) await makeFileSystem(volume, size, stage, random);
  else await writeRuns(volume, size, random);
}

async function canMakeFileSystems(): Promise<boolean> {
  return run('mke2fs', ['-V'], { env }).then(
    () => true,
    () => false,
  );
}

// Half full: programs, text and what does not compress.
async function makeFileSystem(
  volume: string,
  size: number,
  stage: string,
  random: SeededBytes,
): Promise<void> {
  await rm(stage, { recursive: true, force: true });
  const folder = async (name: string): Promise<string> => {
    const path = join(stage, name);
    await mkdir(path, { recursive: true });
    return path;
  };
  await copyPrograms(await folder('programs'), size * 0.12);
  await writeFiles(await folder('text'), size * 0.2, (length) => seededText(random, length));
  await writeFiles(await folder('random'), size * 0.18, random);
  const identity = ['-U', '5afe5afe-5afe-45af-85af-5afe5afe5afe'];
  await run('mke2fs', ['-q', '-F', '-t', 'ext4', '-m', '0', ...identity, '-d', stage, volume], { env });
  await rm(stage, { recursive: true });
}

/** Copies what fits of a package that is here anyway. */
async function copyPrograms(to: string, limit: number): Promise<void> {
  const from = dirname(fileURLToPath(import.meta.resolve('typescript')));
  let left = limit;
  for (const entry of (await readdir(from, { withFileTypes: true })).filter((one) => one.isFile())) {
    const { size } = await stat(join(from, entry.name));
    if (size > left) continue;
    await cp(join(from, entry.name), join(to, entry.name));
    left -= size;
  }
}

async function writeFiles(to: string, bytes: number, make: SeededBytes): Promise<void> {
  for (let number = 0; number * PIECE < bytes; number += 1) {
    await writeFile(join(to, `${number}`), make(Math.min(PIECE, Math.ceil(bytes - number * PIECE))));
  }
}

// Of every ten pieces three hold text, two what does not compress, and five nothing.
async function writeRuns(volume: string, size: number, random: SeededBytes): Promise<void> {
  await using file = await open(volume, 'r+');
  for (let offset = 0, piece = 0; offset < size; offset += PIECE, piece += 1) {
    const length = Math.min(PIECE, size - offset);
    if (piece % 10 < 3) await file.write(seededText(random, length), 0, length, offset);
    else if (piece % 10 < 5) await file.write(random(length), 0, length, offset);
  }
}
