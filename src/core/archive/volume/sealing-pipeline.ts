import type { CallOptions, VolumeSource } from '../../contracts/index.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import type { SealedPack } from '../pack-builder.ts';
import type {
  SealedStripe,
  SealingLane,
  SealingOptions,
  Stripe,
  UnreadStripe,
} from '../threads/sealing-lane.ts';
import type { Threads } from '../threads/threads.ts';
import { Permits } from './lanes.ts';

/** Bytes of a stripe: as much as is read at once. */
export const STRIPE_BYTES: number = 4 * 1024 * 1024;
const STRIPES_IN_LANE = 2;
// One that waits for the device, and one whose answer is on its way: more only seek.
const READS_AT_ONCE = 2;

interface Lane {
  readonly sealing: SealingLane;
  /** Stripes under way. */
  stripes: number;
  /** Buffers of its packs that are stored: they go back to it, so that none has more than it needs. */
  readonly spares: ArrayBuffer[];
}

/** What stripes are read from: by the lanes where they can, else by the host's thread. */
export type PipelineSource = Pick<VolumeSource, 'size' | 'readInto' | 'threadSource'>;

/** What is done with what comes out. */
export interface PipelineOutput {
  /** Keeps a pack; its buffer is used again afterwards. */
  store(pack: SealedPack, call: CallOptions): Promise<void>;
}

/** What a stripe consists of. */
export interface StripeWork {
  /** Bytes of its chunks, in order. */
  readonly lengths: readonly number[];
  /** Where they are in the volume, in order. */
  readonly reads: UnreadStripe['reads'];
  /** Is told what the chunks are called, once the packs that became full are stored. */
  onSealed(sealed: Pick<SealedStripe, 'ids' | 'numbers'>): Promise<void>;
}

/**
 * Reads stripes, and seals them on several lanes. Two stripes are under way on each, so that one is read while the other is
 * sealed; who comes with more waits, also while packs are stored, and so memory is bounded.
 */
export class SealingPipeline implements Disposable {
  readonly #threads: Threads;
  readonly #options: SealingOptions;
  readonly #source: PipelineSource;
  readonly #output: PipelineOutput;
  readonly #call: CallOptions;
  readonly #failed = new AbortController();
  readonly #lanes: Lane[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #stripes: ArrayBuffer[] = [];
  readonly #reads = new Permits(READS_AT_ONCE);

  constructor(
    threads: Threads,
    options: Omit<SealingOptions, 'source'>,
    source: PipelineSource,
    output: PipelineOutput,
    call: CallOptions,
  ) {
    const { threadSource, size } = source;
    const isRead = threads.readsSources && threadSource !== undefined;
    this.#threads = threads;
    this.#options = isRead ? { ...options, source: { source: threadSource, size } } : options;
    this.#source = source;
    this.#output = output;
    this.#call = { ...call, signal: AbortSignal.any([call.signal, this.#failed.signal]) };
  }

  /** For work that is to end when the pipeline fails. */
  get signal(): AbortSignal {
    return this.#call.signal;
  }

  /** Begins with a stripe, once there is room for it; it goes on when this has resolved. */
  async begin({ lengths, reads, onSealed }: StripeWork): Promise<void> {
    while (this.#underWay.size >= STRIPES_IN_LANE * this.#lanesToHave) await Promise.race(this.#underWay);
    this.signal.throwIfAborted();
    this.#track(async () => {
      const unread = { reads, lengths: Uint32Array.from(lengths) };
      const stripe = this.#options.source === undefined ? await this.#read(unread) : unread;
      const lane = this.#freeLane();
      lane.stripes += 1;
      const sealing = lane.sealing.seal(stripe, lane.spares.pop());
      // A thread that reads a source may wait for that source, whatever becomes of the archive.
      const sealed = await unlessAborted(sealing, this.signal).finally(() => {
        lane.stripes -= 1;
      });
      if (sealed.buffer !== undefined) this.#stripes.push(sealed.buffer);
      for (const pack of sealed.packs) {
        await this.#output.store(pack, this.#call);
        lane.spares.push(pack.body.buffer);
      }
      await onSealed(sealed);
    });
  }

  async #read({ reads, lengths }: UnreadStripe): Promise<Stripe> {
    const buffer = this.#stripes.pop() ?? new ArrayBuffer(STRIPE_BYTES);
    await this.#reads.use(this.signal, async () => {
      let filled = 0;
      for (const { offset, length } of reads) {
        await this.#source.readInto(offset, new Uint8Array(buffer, filled, length), this.#call);
        filled += length;
      }
    });
    return { buffer, lengths };
  }

  /** Ends what is under way, and stores what was begun. */
  async finish(): Promise<void> {
    await this.settle();
    this.signal.throwIfAborted();
    for (const { sealing } of this.#lanes) {
      const pack = await sealing.finish();
      if (pack !== undefined) await this.#output.store(pack, this.#call);
    }
  }

  /** Waits for all that is under way, however it ends. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** The error that ended the pipeline takes the place of those that followed from it. */
  fail(error: unknown): void {
    this.#failed.abort(error);
  }

  [Symbol.dispose](): void {
    for (const { sealing } of this.#lanes) sealing.close();
  }

  /** Another archive may have lanes, too: then each has fewer, but for one. */
  get #lanesToHave(): number {
    const free = Math.max(0, this.#threads.width - this.#threads.lanes);
    return Math.max(1, this.#lanes.length + free);
  }

  // Threads are started when there is more than the others have.
  #freeLane(): Lane {
    const [least] = this.#lanes.toSorted((a, b) => a.stripes - b.stripes);
    if (least !== undefined && (least.stripes === 0 || this.#lanes.length >= this.#lanesToHave)) return least;
    const lane = { sealing: this.#threads.sealing(this.#options), stripes: 0, spares: [] };
    this.#lanes.push(lane);
    return lane;
  }

  #track(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
  }
}
