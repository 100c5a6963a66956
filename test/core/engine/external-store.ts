import { createHash } from 'node:crypto';
import type {
  CallOptions,
  ExternalCopies,
  ExternalMade,
  ExternalSource,
  Proof,
  ReadCall,
  SnapshotCopy,
  SnapshotStrategy,
  VolumeRef,
  VolumeSource,
  VolumeTarget,
} from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';

/** Where copies are, by the token that they were asked for under and their volume. */
export type Held = Pick<Map<string, Buffer>, 'get' | 'set' | 'delete' | 'keys'>;

const keyOf = (token: string, { id }: Pick<VolumeRef, 'id'>): string => `${token}~${encodeURIComponent(id)}`;

/** In place of the volume of a copy. */
const RESTORED: Pick<VolumeRef, 'id'> = { id: 'restored' };

const WITHOUT_COMPARISON: readonly Proof[] = ['stored', 'read-back'];

/** A service outside that keeps copies, in memory unless told otherwise. */
export class ExternalStore<Where extends Held = Map<string, Buffer>> implements ExternalCopies {
  readonly contract = 1;
  readonly kind = 'external';
  readonly name = 'outside';
  readonly held: Where;
  /** What it claims whatever was asked for. */
  claims: Proof | undefined;
  /** Of so many copies one fails. */
  failsAt: number = Number.POSITIVE_INFINITY;
  /** What the service restores of what it holds. */
  restored: (bytes: Buffer) => Buffer = (bytes) => bytes;
  #made = 0;

  constructor(held: Where) {
    this.held = held;
  }

  async create(source: ExternalSource, token: string, call: CallOptions): Promise<SnapshotCopy> {
    call.signal.throwIfAborted();
    this.#made += 1;
    if (this.#made >= this.failsAt) throw new FafnirError('PLUGIN_FAILED', 'it does not work today');
    const bytes = await bytesOf(source, call);
    const { volume, takenAt } = source.snapshot;
    const key = keyOf(token, volume);
    if (this.held.get(key) === undefined) this.held.set(key, bytes);
    const reference = { token, digest: digestOf(bytes) };
    const proof = this.claims ?? source.proof;
    const copy: SnapshotCopy = {
      kind: 'external',
      location: this.name,
      reference,
      volume,
      takenAt,
      proof,
    };
    if (this.claims === undefined && !WITHOUT_COMPARISON.includes(proof)) {
      try {
        this.#bytes(copy);
      } catch (error) {
        this.held.delete(key);
        throw new FafnirError('NOT_PROVEN', 'the service restores something else', { cause: error });
      }
    }
    return copy;
  }

  /** Leaves what a process leaves that dies while it reads. */
  leave(copy: SnapshotCopy, token: string): void {
    this.held.set(keyOf(token, RESTORED), this.#bytes(copy));
  }

  async open(copy: SnapshotCopy, call: CallOptions): Promise<VolumeSource> {
    call.signal.throwIfAborted();
    const bytes = this.#bytes(copy);
    return {
      access: 'random',
      size: bytes.length,
      async *extents() {
        yield { offset: 0, length: bytes.length, kind: 'data' };
      },
      readInto: async (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  restoreInto(...[copy, target, call]: Parameters<ExternalCopies['restoreInto']>): Promise<number> {
    return this.#read(copy, call, async (bytes) => {
      await target.write(0, bytes, call);
      await target.flush(call);
      await assertEqual(target, bytes, call);
      return bytes.length;
    });
  }

  compare(...[copy, target, call]: Parameters<ExternalCopies['compare']>): Promise<void> {
    return this.#read(copy, call, (bytes) => assertEqual(target, bytes, call));
  }

  async verify(
    ...[copy, { sample }, call]: Parameters<ExternalCopies['verify']>
  ): ReturnType<ExternalCopies['verify']> {
    await this.#read(copy, call, async () => undefined);
    return { proof: sample === 1 ? 'source-compared' : 'stored', confidence: 0 };
  }

  async remove({ reference, volume }: SnapshotCopy, call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    this.held.delete(keyOf(String(reference.token), volume));
  }

  async removeMade(token: string, call: CallOptions): Promise<readonly string[]> {
    call.signal.throwIfAborted();
    return [...this.held.keys()].filter(
      (key) => key.startsWith(keyOf(token, { id: '' })) && this.held.delete(key),
    );
  }

  async *list(prefix: string, call: CallOptions): AsyncIterable<ExternalMade> {
    call.signal.throwIfAborted();
    for (const key of [...this.held.keys()]) {
      const [token = '', volume = ''] = key.split('~');
      if (token.startsWith(prefix)) yield { token, volume: decodeURIComponent(volume) };
    }
  }

  /** Has a copy restored, for as long as it is read. */
  async #read<Value>(
    copy: SnapshotCopy,
    { token, signal }: Pick<ReadCall, 'token' | 'signal'>,
    use: (bytes: Buffer) => Promise<Value>,
  ): Promise<Value> {
    signal.throwIfAborted();
    const key = keyOf(token, RESTORED);
    const bytes = this.#bytes(copy);
    this.leave(copy, token);
    try {
      return await use(bytes);
    } finally {
      this.held.delete(key);
    }
  }

  #bytes({ reference, volume }: SnapshotCopy): Buffer {
    const bytes = this.held.get(keyOf(String(reference.token), volume));
    if (bytes === undefined) throw new FafnirError('NOT_FOUND', 'it is gone');
    const restored = this.restored(bytes);
    if (digestOf(restored) === reference.digest) return restored;
    throw new FafnirError('CORRUPT', 'it is something else by now');
  }
}

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function assertEqual(target: VolumeTarget, bytes: Buffer, call: CallOptions): Promise<void> {
  const found = Buffer.alloc(target.size);
  await target.readInto(0, found, call);
  if (!found.equals(bytes)) throw new FafnirError('NOT_PROVEN', 'it differs');
}

/** Has such a service copy each snapshot, which then goes. */
export const copiedOutside: SnapshotStrategy = {
  contract: 1,
  name: 'outside',
  canHandle: () => ({ canHandle: true, reason: 'copies are kept outside' }),
  plan: () => ({
    required: ['array', 'external'],
    background: [],
    store: 'outside',
    proof: 'source-compared',
    keep: 0,
  }),
};

async function bytesOf(source: ExternalSource, call: CallOptions): Promise<Buffer> {
  await using opened = await source.open(call);
  if (opened.access !== 'random') throw new Error('a stream');
  const bytes = Buffer.alloc(opened.size);
  await opened.readInto(0, bytes, call);
  return bytes;
}
