import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const ATTEMPTS = 50;
/** Milliseconds. */
const LONGEST_PAUSE = 100;

/** A key file that has no name yet. */
export interface Draft {
  /** Writes all of it, durably; as a file of this owner where one is given. */
  write(text: string, owner?: { readonly uid: number; readonly gid: number }): Promise<void>;
  /** Gives it its name, durably. */
  place(name: (written: string) => Promise<void>): Promise<void>;
}

/**
 * Writes a key file aside and lets `work` give it its name. Callers take turns, also in different processes: each
 * takes away the drafts of the others, dead or alive, before `work` begins, and one that lost its own begins anew. So
 * nobody else places a draft between the beginning of `work` and the placing.
 *
 * Why: say that two place, and that each began `work` before the other had placed. Then both drafts were there until
 * the later beginning, and whichever caller made its draft later has taken away the other's by then; but who lost a
 * draft cannot place it.
 */
export async function withDraft<Result>(
  path: string,
  work: (draft: Draft) => Promise<Result>,
): Promise<Result> {
  const aside = `${path}.drafts`;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    await makeFolder(aside);
    try {
      return await attemptDraft(path, aside, work);
    } catch (error) {
      // What is missing is the draft or its folder.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    // By chance, or two could take away each other's for ever.
    await delay(Math.random() * LONGEST_PAUSE);
  }
  throw new FafnirError('BUSY', `too many others change the key file ${path}`);
}

async function attemptDraft<Result>(
  path: string,
  aside: string,
  work: (draft: Draft) => Promise<Result>,
): Promise<Result> {
  const own = join(aside, randomUUID());
  try {
    await using file = await open(own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    for (const other of await readdir(aside)) {
      const rest = join(aside, other);
      if (rest !== own) await rm(rest, { force: true });
    }
    return await work({
      write: (text, owner) => writeDurably(file, text, owner),
      async place(name) {
        await name(own);
        await syncFolder(dirname(path));
      },
    });
  } finally {
    await rm(own, { force: true });
    await removeEmpty(aside);
  }
}

async function writeDurably(
  file: FileHandle,
  text: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  // Who rotates as root leaves the file to those who use it.
  if (owner !== undefined && owner.uid !== (await file.stat()).uid) await file.chown(owner.uid, owner.gid);
  await file.writeFile(text);
  await file.sync();
}

async function makeFolder(aside: string): Promise<void> {
  try {
    await mkdir(aside, 0o700);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  // A link here would lead the removal of drafts elsewhere.
  const facts = await lstat(aside).catch(whenMissing);
  if (facts?.isDirectory() === false) {
    throw new FafnirError('ACCESS_DENIED', `${aside} is in the way: it is not a folder`);
  }
}

async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, O_RDONLY | O_DIRECTORY);
  await folder.sync();
}

// Another caller has just removed it.
function whenMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
