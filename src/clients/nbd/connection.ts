import type { Socket } from 'node:net';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { ByteReader } from '../host/byte-reader.ts';
import { shakeHands } from './handshake.ts';
import { message, NBD, nbdError } from './protocol.ts';

const LARGEST_PIECE = 8 * 1024 * 1024;
/** A request's length has 32 bits, and servers like whole sectors. */
const LARGEST_RANGE = 2 ** 30;
const LONGEST_CHUNK = 16 * 1024 * 1024;

/** A run of bytes of the device. */
export interface NbdRun {
  /** Bytes, at least 1. */
  readonly length: number;
  /** True where it is known to read as zeros. */
  readonly zero: boolean;
}

interface Pending {
  readonly offset: number;
  readonly into: Uint8Array | undefined;
  readonly runs: NbdRun[];
  readonly timer: NodeJS.Timeout;
  failure: FafnirError | undefined;
  resolve(runs: readonly NbdRun[]): void;
  reject(error: unknown): void;
}

/**
 * A block device at the other end of a socket, by the NBD protocol. Calls may overlap. An abort is seen between requests:
 * one that is under way is waited for, so that its memory is the caller's again. A server that does not answer in time is
 * given up, with all that is under way.
 */
export class NbdConnection {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #timeout: number;
  readonly #reader: ByteReader;
  readonly #pending = new Map<number, Pending>();
  #broken: FafnirError | undefined;
  #last = 0;
  #size = 0;
  #tellsZeros = false;

  /** Agrees with the server; `name` is for messages, `timeout` is how long an answer may take, in milliseconds. */
  static async open(socket: Socket, name: string, timeout: number): Promise<NbdConnection> {
    const connection = new NbdConnection(socket, name, timeout);
    const timer = setTimeout(() => connection.#break(connection.#late()), timeout);
    try {
      await connection.#start();
      return connection;
    } catch (error) {
      throw connection.#broken ?? FafnirError.from(error, 'UNAVAILABLE', `cannot open ${name}`);
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(socket: Socket, name: string, timeout: number) {
    this.#socket = socket;
    this.#name = name;
    this.#timeout = timeout;
    this.#reader = new ByteReader(name, socket);
    // What fails is told by the reader.
    socket.on('error', (error) => this.#break(error));
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** Fills `into` from `offset` on. */
  async readInto(offset: number, into: Uint8Array, { signal }: CallOptions): Promise<void> {
    for (const [at, length] of pieces(into.length, LARGEST_PIECE)) {
      signal.throwIfAborted();
      const part = into.subarray(at, at + length);
      await this.#request(NBD.requests.read, { offset: offset + at, length, into: part });
    }
  }

  /** Writes all of `data` at `offset`. */
  async write(offset: number, data: Uint8Array, { signal }: CallOptions): Promise<void> {
    for (const [at, length] of pieces(data.length, LARGEST_PIECE)) {
      signal.throwIfAborted();
      const part = data.subarray(at, at + length);
      await this.#request(NBD.requests.write, { offset: offset + at, length, data: part });
    }
  }

  /** Makes the range read as zeros, without allocating where the device can. */
  async zero(offset: number, length: number, { signal }: CallOptions): Promise<void> {
    for (const [at, part] of pieces(length, LARGEST_RANGE)) {
      signal.throwIfAborted();
      await this.#request(NBD.requests.writeZeroes, { offset: offset + at, length: part });
    }
  }

  /** Resolves when everything written so far survives a power loss. */
  async flush({ signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    await this.#request(NBD.requests.flush, { offset: 0, length: 0 });
  }

  /** The whole device in ascending order, without gaps and overlaps. */
  async *runs({ signal }: CallOptions): AsyncGenerator<NbdRun, void, undefined> {
    for (let offset = 0; offset < this.#size; ) {
      signal.throwIfAborted();
      const length = Math.min(LARGEST_RANGE, this.#size - offset);
      const runs = this.#tellsZeros
        ? await this.#request(NBD.requests.blockStatus, { offset, length })
        : [{ length, zero: false }];
      if (runs.length === 0) throw new FafnirError('WRONG_ANSWER', `${this.#name}: a map without extents`);
      for (const run of runs) {
        // The last may reach further than was asked.
        const known = Math.min(run.length, this.#size - offset);
        if (known > 0) yield { ...run, length: known };
        offset += known;
      }
    }
  }

  /** Says goodbye and closes the socket; does not flush. */
  close(): void {
    this.#broken ??= new FafnirError('CLOSED', `${this.#name} was closed`);
    if (this.#socket.destroyed) return;
    this.#socket.end(requestHead(NBD.requests.disconnect, 0, 0, 0));
  }

  async #start(): Promise<void> {
    const { size, tellsZeros } = await shakeHands(this.#socket, this.#reader);
    this.#size = size;
    this.#tellsZeros = tellsZeros;
    // Runs for as long as the connection lives; what goes wrong is told to whoever waits for an answer.
    this.#receive().catch((error: unknown) => this.#break(error));
  }

  async #request(
    type: number,
    request: { offset: number; length: number; into?: Uint8Array; data?: Uint8Array },
  ): Promise<readonly NbdRun[]> {
    if (this.#broken !== undefined) throw this.#broken;
    const { offset, length, into, data } = request;
    this.#last += 1;
    const cookie = this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<readonly NbdRun[]>();
    const timer = setTimeout(() => this.#break(this.#late()), this.#timeout);
    this.#pending.set(cookie, { offset, into, runs: [], timer, failure: undefined, resolve, reject });
    this.#socket.write(requestHead(type, cookie, offset, length));
    if (data !== undefined) this.#socket.write(data);
    return await promise;
  }

  async #receive(): Promise<never> {
    for (;;) {
      const magic = viewOf(await this.#reader.take(4)).getUint32(0);
      if (magic === NBD.simpleReplyMagic) await this.#receiveSimple();
      else if (magic === NBD.structuredReplyMagic) await this.#receiveChunk();
      else throw this.#notUnderstood();
    }
  }

  async #receiveSimple(): Promise<void> {
    const head = viewOf(await this.#reader.take(12));
    const [errno, cookie] = [head.getUint32(0), Number(head.getBigUint64(4))];
    const pending = this.#find(cookie);
    if (errno !== 0) pending.failure = nbdError(this.#name, errno);
    else if (pending.into !== undefined) await this.#reader.fill(pending.into);
    this.#settle(cookie, pending);
  }

  async #receiveChunk(): Promise<void> {
    const head = viewOf(await this.#reader.take(16));
    const [flags, type, length] = [head.getUint16(0), head.getUint16(2), head.getUint32(12)];
    const cookie = Number(head.getBigUint64(4));
    const pending = this.#find(cookie);
    if (length > LONGEST_CHUNK) throw this.#notUnderstood();
    if (type === NBD.chunks.data && length > 8) await this.#receiveData(pending, length - 8);
    else this.#take(pending, type, viewOf(await this.#reader.take(length)));
    if ((flags & NBD.done) !== 0) this.#settle(cookie, pending);
  }

  async #receiveData(pending: Pending, length: number): Promise<void> {
    const offset = Number(viewOf(await this.#reader.take(8)).getBigUint64(0));
    await this.#reader.fill(this.#part(pending, offset, length));
  }

  /** Takes a chunk that is not data. */
  #take(pending: Pending, type: number, payload: DataView): void {
    const size = payload.byteLength;
    if (type === NBD.chunks.hole && size === 12) {
      this.#part(pending, Number(payload.getBigUint64(0)), payload.getUint32(8)).fill(0);
    } else if (type === NBD.chunks.blockStatus && size % 8 === 4) {
      for (let at = 4; at < size; at += 8) {
        const zero = (payload.getUint32(at + 4) & NBD.zero) !== 0;
        pending.runs.push({ length: payload.getUint32(at), zero });
      }
    } else if ((type & NBD.chunks.errors) !== 0 && size >= 4) {
      pending.failure = nbdError(this.#name, payload.getUint32(0));
    } else if (type !== NBD.chunks.none) throw this.#notUnderstood();
  }

  #part({ into, offset }: Pending, from: number, length: number): Uint8Array {
    const at = from - offset;
    if (into === undefined || at < 0 || at + length > into.length) throw this.#notUnderstood();
    return into.subarray(at, at + length);
  }

  #find(cookie: number): Pending {
    const pending = this.#pending.get(cookie);
    if (pending === undefined) throw this.#notUnderstood();
    return pending;
  }

  #settle(cookie: number, { failure, runs, timer, resolve, reject }: Pending): void {
    this.#pending.delete(cookie);
    clearTimeout(timer);
    if (failure === undefined) resolve(runs);
    else reject(failure);
  }

  #break(error: unknown): void {
    this.#broken ??= FafnirError.from(error, 'UNAVAILABLE', `${this.#name} is gone`);
    this.#socket.destroy();
    for (const { timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#broken);
    }
    this.#pending.clear();
  }

  #late(): FafnirError {
    return new FafnirError('UNAVAILABLE', `${this.#name} did not answer for ${this.#timeout} ms`);
  }

  #notUnderstood(): FafnirError {
    return new FafnirError('WRONG_ANSWER', `${this.#name}: the block server sent what is not understood`);
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

const requestHead = (type: number, cookie: number, offset: number, length: number): Uint8Array =>
  message([4, NBD.requestMagic], [2, 0], [2, type], [8, cookie], [8, offset], [4, length]);

function* pieces(length: number, most: number): Generator<readonly [at: number, length: number]> {
  for (let at = 0; at < length; at += most) yield [at, Math.min(most, length - at)];
}
