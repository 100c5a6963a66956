import { createHash } from 'node:crypto';
import { access, lstat, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './programs.ts';

const FOLDERS = ['/usr/bin', '/usr/lib/x86_64-linux-gnu', '/usr/lib/python3', '/usr/share'];
/** As much of the image as files may fill: the rest is free space and the file system's own. */
const FILLED = 0.6;
const BLOCK = 4096;
const MEBIBYTE = 1024 * 1024;

/**
 * The path of an ext4 image of so many MiB with this machine's own programs and documents in it, as a virtual machine
 * has them. It is made once and stays, under a name that tells how it was made, until it is removed.
 */
export async function makeImage(mebibytes: number): Promise<string> {
  const recipe = JSON.stringify({ FOLDERS, FILLED, BLOCK, mebibytes });
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 16);
  const image = join(tmpdir(), `fafnir-bench-${key}.img`);
  const isMade = await access(image).then(
    () => true,
    () => false,
  );
  if (isMade) return image;
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-bench-stage-'));
  try {
    const [stage, list, draft] = ['stage', 'list', 'draft.img'].map((name) => join(folder, name));
    if (stage === undefined || list === undefined || draft === undefined) throw new Error('no paths');
    const files = await chooseFiles(mebibytes * MEBIBYTE * FILLED);
    await writeFile(list, files.join('\0'));
    await run('mkdir', [stage]);
    await run('xargs', ['-0', '-a', list, 'cp', '-a', '--parents', '-t', stage], { cwd: '/' });
    const format = ['-q', '-F', '-t', 'ext4', '-b', String(BLOCK), '-m', '0', '-d', stage];
    await run('mke2fs', [...format, draft, `${mebibytes}M`]);
    await rename(draft, image);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return image;
}

/** All files where they fit; else an even sample, so that a small image is of the same kind. */
async function chooseFiles(bytes: number): Promise<readonly string[]> {
  const files: { path: string; size: number }[] = [];
  for (const folder of FOLDERS) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.sort()) {
      files.push({ path, size: Math.ceil((await lstat(path)).size / BLOCK) * BLOCK });
    }
  }
  const share = Math.min(1, bytes / files.reduce((sum, { size }) => sum + size, 0));
  const chosen: string[] = [];
  let owed = 0;
  for (const { path, size } of files) {
    owed += size * share;
    if (owed < size) continue;
    owed -= size;
    chosen.push(path);
  }
  return chosen;
}
