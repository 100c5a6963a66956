import type { NbdConnection } from '../../clients/nbd/connection.ts';
import { type ServedDevice, serveImage } from '../../clients/nbd/qemu-nbd.ts';
import type { RbdClient } from '../../clients/rbd/client.ts';
import type { DiffRun } from '../../clients/rbd/diff.ts';
import { qemuImage } from '../../clients/rbd/qemu-image.ts';
import { RBD_ENVIRONMENT, type RbdAccess } from '../../clients/rbd/run.ts';
import type { Block, CallOptions, Extent, VolumeTarget } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { checkSize } from './volumes.ts';

/** The image to write. */
export interface TargetRequest {
  /** Writes streams. */
  readonly client: RbdClient;
  /** How the cluster is reached. */
  readonly access: RbdAccess;
  /** The image. */
  readonly image: string;
  /** Its bytes. */
  readonly size: number;
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
}

/** An image as a target: a process of its own serves it at random until it is closed, and another takes streams. */
export class RbdTarget implements VolumeTarget {
  readonly size: number;
  readonly #request: TargetRequest;
  #serving: Promise<ServedDevice> | undefined;
  #blank = false;
  #isClosed = false;

  /** Opens an image, and looks whether there is anything in it. */
  static async open(request: TargetRequest, call: CallOptions): Promise<RbdTarget> {
    checkSize(request.image, request.size);
    const target = new RbdTarget(request);
    try {
      target.#serving = target.#serve(call);
      target.#blank = await isBlank(await target.#device(), call);
      return target;
    } catch (error) {
      await target.close();
      throw error;
    }
  }

  private constructor(request: TargetRequest) {
    this.#request = request;
    this.size = request.size;
  }

  get blank(): boolean {
    return this.#blank;
  }

  async write(offset: number, data: Uint8Array, call: CallOptions): Promise<void> {
    this.#checkRange(offset, data.length);
    const device = await this.#device();
    this.#blank = false;
    await device.write(offset, data, call);
  }

  async zero(offset: number, length: number, call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    this.#checkRange(offset, length);
    if (!this.#blank) await (await this.#device()).zero(offset, length, call);
  }

  async readInto(offset: number, into: Uint8Array, call: CallOptions): Promise<void> {
    this.#checkRange(offset, into.length);
    await (await this.#device()).readInto(offset, into, call);
  }

  async *extents(call: CallOptions): AsyncGenerator<Extent, void, undefined> {
    let offset = 0;
    for await (const { length, zero } of (await this.#device()).runs(call)) {
      yield { offset, length, kind: zero ? 'zero' : 'data' };
      offset += length;
    }
  }

  async receive(blocks: AsyncIterable<Block>, call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    const { client, image } = this.#request;
    const runs = runsOf(blocks, this.#blank);
    this.#blank = false;
    // One process at a time, or the other would answer with what it remembers.
    await this.#end();
    await client.importDiff(image, this.size, runs, call);
  }

  async flush(call: CallOptions): Promise<void> {
    // A stream is flushed by its own process.
    if (this.#serving !== undefined) await (await this.#device()).flush(call);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #device(): Promise<NbdConnection> {
    if (this.#isClosed) throw new FafnirError('CLOSED', `image ${this.#request.image} was closed`);
    // For all callers, so that none may stop it; its deadline bounds it.
    this.#serving ??= this.#serve({ signal: new AbortController().signal });
    return (await this.#serving).device;
  }

  async #serve(call: CallOptions): Promise<ServedDevice> {
    const { access, image, size, timeout } = this.#request;
    const name = `image ${image}`;
    const served = await serveImage({
      image: qemuImage(access, image),
      name,
      timeout,
      environment: RBD_ENVIRONMENT,
      ...call,
    });
    if (served.device.size === size) return served;
    await served.close();
    const message = `${name} has ${size} bytes, and is served with ${served.device.size}`;
    throw new FafnirError('WRONG_ANSWER', message);
  }

  async #end(): Promise<void> {
    const serving = this.#serving;
    this.#serving = undefined;
    // One that could not be opened has told whoever opened it.
    const [opened] = await Promise.allSettled([serving]);
    if (opened.status === 'fulfilled') await opened.value?.close();
  }

  #checkRange(offset: number, length: number): void {
    const { image } = this.#request;
    const isInside =
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= this.size;
    if (isInside) return;
    throw new FafnirError('OUT_OF_RANGE', `${length} bytes at ${offset} of image ${image} of ${this.size}`);
  }
}

async function isBlank(device: NbdConnection, call: CallOptions): Promise<boolean> {
  for await (const { zero } of device.runs(call)) if (!zero) return false;
  return true;
}

/** What has to be written of a stream. */
async function* runsOf(
  blocks: AsyncIterable<Block>,
  blank: boolean,
): AsyncGenerator<DiffRun, void, undefined> {
  for await (const block of blocks) {
    if (block.kind === 'data') yield block;
    else if (block.kind === 'same')
      throw new FafnirError('WRONG_ANSWER', 'a whole volume has nothing that is the same');
    else if (!blank) yield { offset: block.offset, length: block.length, kind: 'zero' };
  }
}
