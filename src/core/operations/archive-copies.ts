import * as z from 'zod';
import { isDamage } from '../archive/records.ts';
import { digest } from '../archive/schema-parts.ts';
import type { Vault } from '../archive/vault.ts';
import type { ManifestReference } from '../archive/volume/manifest.ts';
import { removeManifest } from '../archive/volume/manifest.ts';
import { ArchiveReader } from '../archive/volume/read-archive.ts';
import { writeArchive } from '../archive/volume/write-archive.ts';
import type {
  CallOptions,
  CopyCall,
  CopySource,
  CopyStore,
  SnapshotCopy,
  Verification,
  VerifyRequest,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { isId } from '../identity.ts';
import type { Archiving } from './archiving.ts';
import type { ArrayCopies } from './array-copies.ts';

const referenceSchema = z.strictObject({ token: z.string().refine(isId), digest });

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
      copies.push(await this.#archive(source, sources.length === 1 ? token : `${token}-${at}`, call));
    }
    return copies;
  }

  async #archive({ volume, from, base }: CopySource, token: string, call: CopyCall): Promise<SnapshotCopy> {
    if (from === undefined || this.#arrays === undefined) {
      throw new FafnirError('UNSUPPORTED', `volume ${volume.id} can be archived from a snapshot only`);
    }
    const how = this.#archiving.requestFor(volume);
    const older = await this.#base(base, call);
    // What the source calls unchanged must be in the base, chunk for chunk.
    const isBase =
      older?.size === from.volume.size &&
      (how.chunkSize === undefined || how.chunkSize === older.manifest.chunkSize);
    await using source = await this.#arrays.openSince(from, isBase ? base?.from : undefined, call);
    const request = { vault: this.#vault, token, source, ...how };
    const { digest } = await writeArchive(isBase ? { ...request, base: older } : request, call);
    return {
      kind: 'archive',
      location: this.#vault.bank.name,
      reference: { token, digest },
      volume: from.volume,
      takenAt: from.takenAt,
      proof: 'read-back',
    };
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

  async verify(copy: SnapshotCopy, request: VerifyRequest, call: CopyCall): Promise<Verification> {
    await using archive = await this.open(copy, call);
    const { confidence } = await archive.verify(request, call);
    // A sample proves nothing of what was not in it.
    return { proof: request.sample < 1 ? 'stored' : 'read-back', confidence };
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
