import { link, realpath, rename } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';
import { parseOptions } from '../../core/options.ts';
import { newKey, printKeys, withNewKey } from './contents.ts';
import { withDraft } from './draft.ts';
import { onKeyFile } from './errors.ts';
import { KEY_FILE_OPTIONS, type KeyFileOptions } from './options.ts';
import { readKeyFile } from './read.ts';

/**
 * Makes a key file with one fresh random key, durable once the promise has resolved with the key's fingerprint. A file
 * that exists is never touched: `ALREADY_EXISTS`.
 */
export async function createKeyFile(options: KeyFileOptions): Promise<string> {
  const path = resolve(parseOptions('createKeyFile', KEY_FILE_OPTIONS, options).path);
  return onKeyFile(`make the key file ${path}`, () =>
    withDraft(path, async (draft) => {
      const key = newKey();
      await draft.write(printKeys([key]));
      await draft.place(linkTo(path));
      return key.id;
    }),
  );
}

/**
 * Puts a fresh random key before those of a key file, and resolves with its fingerprint: new keys are wrapped by it,
 * the old ones still unwrap. Whatever dies, the file is the one before or the one after; of callers in any number of
 * processes each adds its key. Providers in other processes wrap under it once they have read the file again.
 */
export async function rotateKeyFile(options: KeyFileOptions): Promise<string> {
  const path = resolve(parseOptions('rotateKeyFile', KEY_FILE_OPTIONS, options).path);
  return onKeyFile(`rotate the key file ${path}`, async () => {
    // Callers meet at the file itself, by whatever link they come.
    const real = await realpath(path);
    return await withDraft(real, async (draft) => {
      const { keys, ...owner } = await readKeyFile(real);
      const [current, ...former] = withNewKey(real, keys);
      await draft.write(printKeys([current, ...former]), owner);
      await draft.place((written) => rename(written, real));
      return current.id;
    });
  });
}

function linkTo(path: string): (written: string) => Promise<void> {
  return async (written) => {
    try {
      await link(written, path);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      throw new FafnirError('ALREADY_EXISTS', `there is a file at ${path}`, {
        cause: error,
        hint: 'Use it, or choose another path: what a lost key file wrapped cannot be read again.',
      });
    }
  };
}
