import * as z from 'zod';
import { proofReaches } from '../archive/catalog.ts';
import { isDamage } from '../archive/records.ts';
import { digest } from '../archive/schema-parts.ts';
import type { Vault } from '../archive/vault.ts';
import type { ManifestReference } from '../archive/volume/manifest.ts';
import { lockManifest, removeManifest } from '../archive/volume/manifest.ts';
import { ArchiveReader } from '../archive/volume/read-archive.ts';
import { writeArchive } from '../archive/volume/write-archive.ts';
import type {
  CallOptions,
  CopyCall,
  CopySource,
  CopyStore,
  ReadCall,
  SequentialSource,
  SnapshotCopy,
  Verification,
  VerifyRequest,
  VolumeSource,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { isId } from '../identity.ts';
import type { Archiving } from './archiving.ts';
import type { ArrayCopies } from './array-copies.ts';

const referenceSchema = z.strictObject({ token: z.string().refine(isId), digest });

/** An archive that was made. */
export interface MadeArchive {
  /** The copy. */
  readonly copy: SnapshotCopy;
  /**
   * Where what the array, now or for the base, called unchanged was not: how an archive that relied on it differed from
   * its source. The copy does not rely on it.
   */
  readonly distrusted?: string;
}

/** Copies that are archives in a tenant's part of a bank, made from copies on arrays. */
export class ArchiveCopies implements CopyStore {
  readonly kind = 'archive';
  readonly #vault: Vault;
  readonly #archiving: Archiving;
  readonly #arrays: ArrayCopies | undefined;

  /** Without `arrays`, archives can be read but not made. */
  constructor(vault: Vault, archiving: Archiving, arrays?: ArrayCopies) {
    this.#vault = vault;
    this.#archiving = archiving;
    this.#arrays = arrays;
  }

  async create(
    sources: readonly CopySource[],
    token: string,
    call: CopyCall,
  ): Promise<readonly SnapshotCopy[]> {
    const copies: SnapshotCopy[] = [];
    for (const [at, source] of sources.entries()) {
      const { copy } = await this.archive(source, sources.length === 1 ? token : `${token}-${at}`, call);
      copies.push(copy);
    }
    return copies;
  }

  /** Makes one copy, like `create`, and says whether the array was found to call unchanged what was not. */
  async archive(source: CopySource, token: string, call: CopyCall): Promise<MadeArchive> {
    const made = await this.#make(source, token, call);
    await lockManifest(this.#vault, referenceOf(made.copy), call);
    return made;
  }

  async #make(
    { volume, from, base, proof }: CopySource,
    token: string,
    call: CopyCall,
  ): Promise<MadeArchive> {
    if (from === undefined) {
      throw new FafnirError('UNSUPPORTED', `volume ${volume.id} can be archived from a snapshot only`);
    }
    const how = this.#archiving.requestFor(volume);
    // Names the reading, too.
    const reading = { ...call, token };
    const older = await this.#base(base, call);
    // What the source calls unchanged must be in the base, chunk for chunk.
    const isBase =
      older?.size === from.volume.size &&
      (how.chunkSize === undefined || how.chunkSize === older.manifest.chunkSize);
    const write = async (
      base: { readonly base?: ArchiveReader },
      since?: SnapshotCopy,
    ): Promise<SnapshotCopy> => {
      const open = (): Promise<VolumeSource | SequentialSource> => this.#openSince(from, since, reading);
      await using source = await open();
      const request = { vault: this.#vault, token, source, reopen: open, ...how, ...base };
      const { digest } = await writeArchive(request, call);
      const reference = { token, digest };
      const { takenAt, volume } = from;
      return {
        kind: 'archive',
        location: this.#vault.bank.name,
        reference,
        volume,
        takenAt,
        proof: 'read-back',
      };
    };
    // A stream does not have what is lost in the base and unchanged.
    const writeSince = (older: ArchiveReader): Promise<SnapshotCopy> =>
      write({ base: older }, base?.from).catch((error: unknown) => {
        if (isDamage(error)) return write({});
        throw error;
      });
    const archived = isBase ? await writeSince(older) : await write({});
    if (!proofReaches(proof, 'source-compared')) return { copy: archived };
    try {
      return { copy: await this.#compared(archived, from, reading) };
    } catch (error) {
      if (!isBase || !FafnirError.is(error, 'NOT_PROVEN')) throw error;
      // The array called something unchanged that is not: then nothing of what it says is relied on.
      await this.remove(archived, call);
      const copy = await this.#compared(await write({}), from, reading);
      return { copy, distrusted: error.message };
    }
  }

  async #compared(archived: SnapshotCopy, from: SnapshotCopy, call: ReadCall): Promise<SnapshotCopy> {
    await using source = await this.#openSince(from, undefined, call);
    await using archive = await this.open(archived, call);
    await archive.compare(source, { ...call, progress: () => undefined });
    return { ...archived, proof: 'source-compared' };
  }

  #openSince(
    from: SnapshotCopy,
    since: SnapshotCopy | undefined,
    call: ReadCall,
  ): Promise<VolumeSource | SequentialSource> {
    if (this.#arrays !== undefined) return this.#arrays.openSince(from, since, call);
    throw new FafnirError('UNSUPPORTED', 'archives can be read here, and not made');
  }

  // A base that is damaged only costs the time it would have saved.
  async #base(base: CopySource['base'], call: CallOptions): Promise<ArchiveReader | undefined> {
    if (base === undefined || base.copy.location !== this.#vault.bank.name) return undefined;
    try {
      return await this.open(base.copy, call);
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }

  open(copy: SnapshotCopy, call: CallOptions): Promise<ArchiveReader> {
    const { threads } = this.#archiving;
    return ArchiveReader.open(this.#vault, referenceOf(copy), { threads, clock: this.#vault.clock }, call);
  }

  async restoreInto(copy: SnapshotCopy, target: VolumeTarget, call: CopyCall): Promise<number> {
    await using archive = await this.open(copy, call);
    return archive.restoreInto(target, call);
  }

  async compare(copy: SnapshotCopy, target: VolumeTarget, call: CopyCall): Promise<void> {
    await using archive = await this.open(copy, call);
    await archive.compareTarget(target, call);
  }

  async verify(copy: SnapshotCopy, request: VerifyRequest, call: ReadCall): Promise<Verification> {
    await using archive = await this.open(copy, call);
    const { confidence, damaged } = await archive.verify({ ...request, token: call.token }, call);
    // A sample proves nothing of what was not in it.
    return { proof: request.sample < 1 ? 'stored' : 'read-back', confidence, damaged: damaged.length };
  }

  // Chunks may be shared with other archives, so only the manifest goes: what it alone named is then garbage.
  async remove(copy: SnapshotCopy, call: CallOptions): Promise<void> {
    await removeManifest(this.#vault, referenceOf(copy), call);
  }
}

/** What names the manifest of a copy that is an archive; `CORRUPT` where nothing does. */
export function referenceOf({ reference, location }: SnapshotCopy): ManifestReference {
  const parsed = referenceSchema.safeParse(reference);
  if (parsed.success) return parsed.data;
  throw new FafnirError('CORRUPT', `the record of a copy in bank ${location} names no manifest`);
}
