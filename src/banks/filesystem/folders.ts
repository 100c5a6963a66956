import type { Stats } from 'node:fs';
import { lstat, mkdir, open, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';
import { MISSING, tolerate } from './errors.ts';

/** The folder of a bank as it is on disk now. */
export type Root = {
  /** Free of links. */
  readonly path: string;
  /** What tells its file system from one that is mounted inside it. */
  readonly device: number;
};

/** The root, or undefined where there is nothing yet. It may itself be a link. */
export async function findRoot(path: string): Promise<Root | undefined> {
  const real = await tolerate(['ENOENT'], realpath(path));
  if (real === undefined) return undefined;
  const facts = await stat(real);
  if (!facts.isDirectory()) throw new FafnirError('ACCESS_DENIED', `${path} is not a folder`);
  return { path: real, device: facts.dev };
}

/** The root, made where it was missing. */
export async function makeRoot(path: string): Promise<Root> {
  const found = await findRoot(path);
  if (found !== undefined) return found;
  await makeFolders(path);
  const made = await findRoot(path);
  if (made === undefined) throw new FafnirError('ACCESS_DENIED', `${path} cannot be made a folder`);
  return made;
}

// Not `mkdir` with `recursive`, which never ends where the system answers ENOENT in a folder that exists (/proc).
async function makeFolders(path: string): Promise<void> {
  const parent = dirname(path);
  if ((await tolerate(['ENOENT'], stat(parent))) === undefined) await makeFolders(parent);
  try {
    await tolerate(['EEXIST'], mkdir(path));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw FafnirError.from(error, 'ACCESS_DENIED', `${parent} takes no folders`);
  }
  await syncFolder(parent);
}

/** True for a folder inside the root, false for anything else there; `INVALID_KEY` where the way leads out. */
export async function isFolder(root: Root, path: string): Promise<boolean> {
  const real = await tolerate(MISSING, realpath(path));
  const facts = real === undefined ? undefined : await tolerate(MISSING, lstat(path));
  if (facts === undefined) return false;
  if (real !== path || facts.dev !== root.device) {
    throw new FafnirError('INVALID_KEY', `a link or mount at ${path} leads out of the bank at ${root.path}`);
  }
  return facts.isDirectory();
}

/** What is at a key: facts of a file or folder, or undefined; anything else is refused with `INVALID_KEY`. */
export async function lookUp(root: Root, key: string): Promise<Stats | undefined> {
  const path = join(root.path, key);
  if (!(await isFolder(root, dirname(path)))) return undefined;
  const facts = await tolerate(MISSING, lstat(path));
  if (facts === undefined || facts.isFile() || facts.isDirectory()) return facts;
  throw new FafnirError('INVALID_KEY', `${path} is a link or a device, not an object`);
}

/** Makes what was written in a folder's list of names survive a power loss. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

// Bounds the memory of a writer; forgetting costs a few system calls.
const REMEMBERED = 10_000;

/** Makes folders that survive a power loss, and remembers which do. */
export class DurableFolders {
  readonly #durable = new Set<string>();

  /**
   * Resolves once the folder and those above it, up to the root, are on disk. A folder that is already there may
   * be another writer's who has not got that far, so only one seen through before counts.
   */
  async make(root: Root, path: string): Promise<void> {
    if (path === root.path || (this.#durable.has(path) && (await isFolder(root, path)))) return;
    const parent = dirname(path);
    await this.make(root, parent);
    await tolerate(['EEXIST'], mkdir(path));
    if (!(await isFolder(root, path))) {
      throw new FafnirError('INVALID_KEY', `${path} is in the way: no key is the folder of another`);
    }
    await syncFolder(parent);
    if (this.#durable.size >= REMEMBERED) this.#durable.clear();
    this.#durable.add(path);
  }
}
