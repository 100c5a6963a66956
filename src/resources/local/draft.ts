import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';
import { onPath } from './file-error.ts';
import { folderExists, makeFolder, syncFolder, unlessMissing, withFile } from './files.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
const ATTEMPTS = 20;
/** Milliseconds, the longest after the first attempt. */
const PAUSE = 50;

/** A record that is whole and has no id yet. */
export interface Draft {
  /** Adds it under an id; false where the id has a record, which is left alone. */
  add(id: string): Promise<boolean>;
  /** Puts it in the place of the record that the id has. */
  replace(id: string): Promise<void>;
}

/** What a draft is made of. */
export interface Drafting {
  /** The folder of records. */
  readonly folder: string;
  /** Where in it callers with the same token have their drafts. */
  readonly aside: string;
  /** The record. */
  readonly text: string;
  /** Where the record of an id is. */
  pathOf(id: string): string;
}

/** Writes a draft and lets `place` give it an id; see `RecordFolder.write`. */
export async function withDraft<Result>(
  drafting: Drafting,
  place: (draft: Draft) => Promise<Result>,
  { signal }: CallOptions,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await placeDraft(drafting, place);
    } catch (error) {
      if (!isTakenAway(error) || attempt === ATTEMPTS) throw error;
    }
    // By chance, and longer each time: on a slow disk too, two do not take away each other's for ever.
    await delay(Math.random() * PAUSE * attempt, undefined, { signal });
  }
}

/** Removes all drafts of a token; whoever still needs one begins anew. */
export async function removeDrafts(aside: string): Promise<void> {
  await removeOthers(aside);
  await removeEmpty(aside);
}

// Why two callers with one token never place two drafts unseen: say that both place, and that the later one began
// `place` before the earlier one had placed. Then both drafts were there at that time, and whichever was written later
// has taken away the other one by then; but who lost a draft cannot place it.
async function placeDraft<Result>(
  { folder, aside, text, pathOf }: Drafting,
  place: (draft: Draft) => Promise<Result>,
): Promise<Result> {
  const own = join(aside, randomUUID());
  await onPath(folder, () => makeFolder(folder));
  // The last one with the token removes the place of their drafts, perhaps just now.
  await whileOwn(aside, async () => {
    await mkdir(aside, { recursive: true });
    await folderExists(aside);
  });
  try {
    await whileOwn(aside, async () => {
      await withFile(own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, async (file) => {
        await file.writeFile(text);
        await file.sync();
      });
      await removeOthers(aside, own);
    });
    return await place({
      add: async (id) => await addLink(aside, own, pathOf(id)),
      replace: async (id) => {
        const path = pathOf(id);
        await whileOwn(aside, () => rename(own, path));
      },
    });
  } finally {
    await onPath(aside, async () => {
      await rm(own, { force: true });
      await removeEmpty(aside);
      await syncFolder(folder);
    });
  }
}

async function addLink(aside: string, own: string, path: string): Promise<boolean> {
  return await whileOwn(aside, async () => {
    try {
      await link(own, path);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    }
  });
}

/** Work with a draft. Where another caller took it away, the error is one that {@link isTakenAway} knows. */
async function whileOwn<Result>(aside: string, work: () => Promise<Result>): Promise<Result> {
  return await onPath(aside, async () => {
    try {
      return await work();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      throw new FafnirError('UNAVAILABLE', `${aside}: another caller with this token took over`, {
        cause: error,
      });
    }
  });
}

function isTakenAway(error: unknown): boolean {
  return FafnirError.is(error, 'UNAVAILABLE') && errnoOf(error.cause) === 'ENOENT';
}

async function removeOthers(aside: string, own?: string): Promise<void> {
  if (!(await folderExists(aside))) return;
  for (const name of (await unlessMissing(() => readdir(aside))) ?? []) {
    const path = join(aside, name);
    if (path !== own) await rm(path, { force: true });
  }
}

async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}
