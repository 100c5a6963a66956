import type { FileHandle } from 'node:fs/promises';
import type { CallOptions } from './contracts/index.ts';
import { FafnirError } from './errors.ts';
import { fileWork } from './file-errors.ts';

/** Bytes between two looks at the signal. */
const PIECE = 8 * 1024 * 1024;

/** An open file of a fixed size whose reads and writes are whole or fail. */
export class OpenFile implements AsyncDisposable {
  /** For messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly #file: FileHandle;
  #closing: Promise<void> | undefined;

  constructor(name: string, file: FileHandle, size: number) {
    this.name = name;
    this.size = size;
    this.#file = file;
  }

  /** The handle; rejects with `CLOSED` after {@link OpenFile.close}. */
  get handle(): FileHandle {
    if (this.#closing === undefined) return this.#file;
    throw new FafnirError('CLOSED', `${this.name} was closed`);
  }

  /** Fills `into` from `offset` on. */
  async read(offset: number, into: Uint8Array, { signal }: CallOptions): Promise<void> {
    this.checkRange(offset, into.length);
    for (let done = 0; done < into.length; ) {
      signal.throwIfAborted();
      const length = Math.min(PIECE, into.length - done);
      const { bytesRead } = await this.#work('read', () =>
        this.handle.read(into, done, length, offset + done),
      );
      if (bytesRead === 0) throw new FafnirError('UNAVAILABLE', `${this.name} is shorter than when opened`);
      done += bytesRead;
    }
  }

  /** Writes all of `data` at `offset`. */
  async write(offset: number, data: Uint8Array, { signal }: CallOptions): Promise<void> {
    this.checkRange(offset, data.length);
    for (let done = 0; done < data.length; ) {
      signal.throwIfAborted();
      const length = Math.min(PIECE, data.length - done);
      const { bytesWritten } = await this.#work('write', () =>
        this.handle.write(data, done, length, offset + done),
      );
      done += bytesWritten;
    }
  }

  /** Resolves when all that was written survives a power loss. */
  async flush({ signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    await this.#work('flush', () => this.handle.sync());
  }

  /** Rejects a range that is not inside the file with `OUT_OF_RANGE`. */
  checkRange(offset: number, length: number): void {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
    if (whole && offset >= 0 && length >= 0 && offset + length <= this.size) return;
    throw new FafnirError(
      'OUT_OF_RANGE',
      `${length} bytes at ${offset} are not inside ${this.name} of ${this.size}`,
    );
  }

  /** Releases the handle after the calls under way; may be repeated. */
  close(): Promise<void> {
    this.#closing ??= this.#file.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #work<Result>(verb: string, work: () => Promise<Result>): Promise<Result> {
    return fileWork(`cannot ${verb} ${this.name}`, work);
  }
}
