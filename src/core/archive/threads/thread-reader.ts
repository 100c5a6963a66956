import { open } from 'node:fs/promises';
import type { ThreadReader, ThreadSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { fileWork } from '../../file-errors.ts';
import { OpenFile } from '../../open-file.ts';

/** A source that threads read, and its bytes. Can be sent to a thread. */
export interface SizedSource {
  /** Where it is. */
  readonly source: ThreadSource;
  /** Bytes of the volume. */
  readonly size: number;
}

/** Opens a source for reading on this thread. */
export function openThreadReader({ source, size }: SizedSource): Promise<ThreadReader> {
  return source.kind === 'file' ? openFile(source.path, size) : openModule(source);
}

async function openFile(path: string, size: number): Promise<ThreadReader> {
  const what = `the file ${path} of a source`;
  const file = new OpenFile(what, await fileWork(`cannot open ${what}`, () => open(path)), size);
  return { readInto: (offset, into, call) => file.read(offset, into, call), close: () => file.close() };
}

async function openModule({ url, options }: ThreadSource & { kind: 'module' }): Promise<ThreadReader> {
  const { openReader }: { openReader?: unknown } = await import(url);
  if (typeof openReader !== 'function') {
    throw new FafnirError('PLUGIN_FAILED', `the module ${url} of a source exports no openReader`);
  }
  return openReader(options);
}
