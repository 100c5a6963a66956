import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { FafnirError } from '../../core/errors.ts';
import { corrupt, parseKeys, type StoredKeys } from './contents.ts';
import { onKeyFile } from './errors.ts';

const LARGEST = 1024 ** 2;
const GROUP_AND_OTHERS = 0o077;

/** A key file as it is on disk. */
export type KeyFileOnDisk = {
  /** The current one first. */
  readonly keys: StoredKeys;
  /** Whose file it is: a user's number. */
  readonly uid: number;
  /** Whose file it is: a group's number. */
  readonly gid: number;
};

/** Reads a key file; `ACCESS_DENIED` where it is not its owner's alone, `CORRUPT` where it is not a sound one. */
export async function readKeyFile(path: string): Promise<KeyFileOnDisk> {
  return onKeyFile(`read the key file ${path}`, async () => {
    // Not blocking: a pipe in the file's place must not hang the caller.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await file.stat();
    if (!facts.isFile()) throw corrupt(path, 'it is not a regular file');
    if ((facts.mode & GROUP_AND_OTHERS) !== 0) {
      throw new FafnirError('ACCESS_DENIED', `the key file ${path} is open to its group or to others`, {
        hint: 'Close it with chmod 600; rotate it where somebody may have read it.',
      });
    }
    if (facts.size > LARGEST) throw corrupt(path, `it is larger than ${LARGEST} bytes`);
    const text = Buffer.alloc(facts.size);
    const { bytesRead } = await file.read(text, 0, text.length, 0);
    const keys = parseKeys(path, text.toString('utf8', 0, bytesRead));
    return { keys, uid: facts.uid, gid: facts.gid };
  });
}
