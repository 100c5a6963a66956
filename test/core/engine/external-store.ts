import type {
  ExternalCopies,
  ExternalSource,
  Proof,
  SnapshotCopy,
  VolumeSource,
} from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';

/** Where copies are, by the token that they were asked for under. */
export type Held = Pick<Map<string, Buffer>, 'get' | 'set' | 'delete'>;

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
  #made = 0;

  constructor(held: Where) {
    this.held = held;
  }

  async create(source: ExternalSource, token: string): Promise<SnapshotCopy> {
    this.#made += 1;
    if (this.#made >= this.failsAt) throw new FafnirError('PLUGIN_FAILED', 'it does not work today');
    if (this.held.get(token) === undefined) this.held.set(token, await bytesOf(source));
    const { volume, takenAt } = source.snapshot;
    const proof = this.claims ?? source.proof;
    return { kind: 'external', location: this.name, reference: { token }, volume, takenAt, proof };
  }

  async open(copy: SnapshotCopy): Promise<VolumeSource> {
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

  async restoreInto(...[copy, target, call]: Parameters<ExternalCopies['restoreInto']>): Promise<number> {
    const bytes = this.#bytes(copy);
    await target.write(0, bytes, call);
    await target.flush(call);
    await this.compare(copy, target, call);
    return bytes.length;
  }

  async compare(...[copy, target, call]: Parameters<ExternalCopies['compare']>): Promise<void> {
    const found = Buffer.alloc(target.size);
    await target.readInto(0, found, call);
    if (!found.equals(this.#bytes(copy))) throw new FafnirError('NOT_PROVEN', 'it differs');
  }

  async verify(
    ...[copy, { sample }]: Parameters<ExternalCopies['verify']>
  ): ReturnType<ExternalCopies['verify']> {
    this.#bytes(copy);
    return { proof: sample === 1 ? 'source-compared' : 'stored', confidence: 0 };
  }

  async remove({ reference }: SnapshotCopy): Promise<void> {
    this.held.delete(String(reference.token));
  }

  async removeMade(token: string): Promise<readonly string[]> {
    return this.held.delete(token) ? [token] : [];
  }

  #bytes({ reference }: SnapshotCopy): Buffer {
    const bytes = this.held.get(String(reference.token));
    if (bytes === undefined) throw new FafnirError('NOT_FOUND', 'it is gone');
    return bytes;
  }
}

async function bytesOf(source: ExternalSource): Promise<Buffer> {
  const call = { signal: new AbortController().signal };
  await using opened = await source.open(call);
  if (opened.access !== 'random') throw new Error('a stream');
  const bytes = Buffer.alloc(opened.size);
  await opened.readInto(0, bytes, call);
  return bytes;
}
