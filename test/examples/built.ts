import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The repository's root folder. */
export const repository: string = fileURLToPath(new URL('../../', import.meta.url));

const run = promisify(execFile);
const BUILT = 'dist/index.d.ts';

/** Builds the package where `dist` is missing or older than `src`: examples import it by its name. */
export async function ensureBuilt(): Promise<void> {
  // Test files run beside each other, and a build begins by removing what the other uses. This lock ends with its
  // holder, however that ends.
  const lock = new DatabaseSync(join(repository, 'node_modules', '.fafnir-build.db'), { timeout: 60_000 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    if (!(await isBuilt())) await run('npm', ['run', 'build'], { cwd: repository });
  } finally {
    lock.close();
  }
}

async function isBuilt(): Promise<boolean> {
  const built = await stat(join(repository, BUILT)).catch(() => undefined);
  if (built === undefined) return false;
  const names = await readdir(join(repository, 'src'), { recursive: true });
  for (const name of names) {
    if ((await stat(join(repository, 'src', name))).mtimeMs > built.mtimeMs) return false;
  }
  return true;
}
