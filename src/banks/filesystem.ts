import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { assertBankKey, assertBankPrefix } from '../core/bank-keys.ts';
import { assertNoLock } from '../core/bank-locks.ts';
import type {
  Bank,
  BankCapabilities,
  BankObject,
  BankPut,
  BankRead,
  CallOptions,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { errnoOf } from '../core/file-errors.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { asBankError, MISSING, tolerate } from './filesystem/errors.ts';
import { DurableFolders, findRoot, lookUp, makeRoot, type Root, syncFolder } from './filesystem/folders.ts';
import { listObjects } from './filesystem/list.ts';
import { sweep, writeFile } from './filesystem/write.ts';

/** Options of {@link filesystemBank}. */
export interface FilesystemBankOptions {
  /** The folder that holds the bank; made by the first `put`. It may be a link. */
  readonly root: string;
  /** Unique within an engine; recorded in checkpoints. Default: the last segment of `root`. */
  readonly name?: string;
}

const OPTIONS = strictOptions({
  root: z.string().min(1),
  name: z.string().min(1).exactOptional(),
}) satisfies z.ZodType<FilesystemBankOptions>;

const CAPABILITIES: BankCapabilities = Object.freeze({
  conditionalCreate: 'atomic',
  listingDelay: 0,
  objectSize: 1024 ** 3,
  locks: false,
});

// `~` is in no key, so what is in here can be neither listed nor addressed.
const TEMPORARY = '~temporary';
const READ_AT_ONCE = 32 * 1024 ** 2;

/**
 * A bank in a folder: each object is the file at `root/<key>`. The file system must be case-sensitive and know
 * hard links, as those of Linux do; it may be shared by any number of processes.
 */
export function filesystemBank(options: string | FilesystemBankOptions): Bank {
  const given = typeof options === 'string' ? { root: options } : options;
  const { root, name } = parseOptions('filesystemBank', OPTIONS, given);
  const path = resolve(root);
  return new FilesystemBank(name ?? (basename(path) || path), path);
}

class FilesystemBank implements Bank {
  readonly contract = 1;
  readonly capabilities: BankCapabilities = CAPABILITIES;
  readonly name: string;
  readonly #root: string;
  readonly #folders = new DurableFolders();
  #swept: Promise<void> | undefined;

  constructor(name: string, root: string) {
    this.name = name;
    this.#root = root;
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    { ifAbsent, retainUntil, signal }: BankPut,
  ): Promise<'created' | 'exists'> {
    assertBankKey(key);
    signal.throwIfAborted();
    assertNoLock(this.name, retainUntil);
    return this.#try(`store ${key}`, async () => {
      const root = await makeRoot(this.#root);
      const path = join(root.path, key);
      await this.#folders.make(root, dirname(path));
      const present = await lookUp(root, key);
      if (present?.isDirectory()) {
        throw new FafnirError('INVALID_KEY', `${key} is the folder of other keys in ${this.#root}`);
      }
      const outcome =
        present !== undefined && ifAbsent
          ? 'exists'
          : await this.#publish(root, path, body instanceof Uint8Array ? [body] : body, ifAbsent, signal);
      // Also for `exists`: the writer who came first may not have got this far, and the caller builds on it.
      await syncFolder(dirname(path));
      return outcome;
    });
  }

  async get(key: string, read: BankRead, { signal }: CallOptions): Promise<Uint8Array> {
    assertBankKey(key);
    signal.throwIfAborted();
    return this.#try(`read ${key}`, async () => {
      const root = await findRoot(this.#root);
      const facts = root && (await lookUp(root, key));
      const opened =
        root && facts?.isFile()
          ? await tolerate(MISSING, open(join(root.path, key), constants.O_RDONLY | constants.O_NOFOLLOW))
          : undefined;
      if (opened === undefined) throw new FafnirError('NOT_FOUND', `no object ${key} in ${this.#root}`);
      await using file = opened;
      return await readObject(file, key, read, signal);
    });
  }

  async head(key: string, { signal }: CallOptions): Promise<BankObject | undefined> {
    assertBankKey(key);
    signal.throwIfAborted();
    return this.#try(`look up ${key}`, async () => {
      const root = await findRoot(this.#root);
      const facts = root && (await lookUp(root, key));
      return facts?.isFile() ? { key, size: facts.size } : undefined;
    });
  }

  async *list(
    prefix: string,
    { after = '', signal }: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    assertBankPrefix(prefix);
    signal.throwIfAborted();
    try {
      const root = await findRoot(this.#root);
      if (root !== undefined) yield* listObjects(root, prefix, after, signal);
    } catch (error) {
      throw asBankError(error, `list ${prefix} in ${this.#root}`);
    }
  }

  async remove(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    await this.#try('remove objects', async () => {
      const root = await findRoot(this.#root);
      if (root === undefined) return;
      const paths: string[] = [];
      // All are looked up before the first goes, since a key that leads out of the bank must have no effect.
      for (const key of keys) {
        signal.throwIfAborted();
        if ((await lookUp(root, key))?.isFile()) paths.push(join(root.path, key));
      }
      for (const path of paths) {
        signal.throwIfAborted();
        await tolerate(MISSING, unlink(path));
      }
      for (const folder of new Set(paths.map((path) => dirname(path)))) await syncFolder(folder);
    });
  }

  // An object appears whole because it gets its name only after its bytes are on disk.
  async #publish(
    root: Root,
    path: string,
    parts: readonly Uint8Array[],
    ifAbsent: boolean,
    signal: AbortSignal,
  ): Promise<'created' | 'exists'> {
    const folder = join(root.path, TEMPORARY);
    await this.#folders.make(root, folder);
    // What the sweep could not remove waits for the next bank; it must not keep this one from writing.
    this.#swept ??= sweep(folder, Date.now()).catch(() => undefined);
    await this.#swept;
    const temporary = join(folder, `${process.pid}-${randomUUID()}`);
    try {
      await writeFile(temporary, parts, signal);
      signal.throwIfAborted();
      await (ifAbsent ? link(temporary, path) : rename(temporary, path));
      return 'created';
    } catch (error) {
      if (ifAbsent && errnoOf(error) === 'EEXIST') return 'exists';
      throw error;
    } finally {
      // The outcome is decided by now; a file that stays is the sweep's.
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  async #try<Value>(doing: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      throw asBankError(error, `${doing} in ${this.#root}`);
    }
  }
}

async function readObject(
  file: FileHandle,
  key: string,
  read: BankRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { size } = await file.stat();
  if ('limit' in read) {
    if (size <= read.limit) return readBytes(file, 0, size, 'CORRUPT', key, signal);
    throw new FafnirError('LIMIT_EXCEEDED', `${key} has ${size} bytes, more than ${read.limit}`);
  }
  const { offset, length } = read;
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
    throw new FafnirError('OUT_OF_RANGE', `${key} has ${size} bytes, not ${length} at ${offset}`);
  }
  return readBytes(file, offset, length, 'OUT_OF_RANGE', key, signal);
}

async function readBytes(
  file: FileHandle,
  start: number,
  length: number,
  whenShort: 'CORRUPT' | 'OUT_OF_RANGE',
  key: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(bytes, {
      offset: done,
      length: Math.min(length - done, READ_AT_ONCE),
      position: start + done,
    });
    if (bytesRead === 0) throw new FafnirError(whenShort, `${key} was cut to ${start + done} bytes`);
    done += bytesRead;
  }
  return bytes;
}
