import * as z from 'zod';
import { type Manifest, ManifestStore } from '../archive/manifest.ts';
import { isDamage } from '../archive/records.ts';
import { ArchiveReader } from '../archive/read-archive.ts';
import { writeArchive } from '../archive/write-archive.ts';
import type {
  Bank,
  CallOptions,
  CopyCall,
  CopySource,
  CopyStore,
  Proof,
  SnapshotCopy,
  TenantId,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { ArrayCopies } from './array-copies.ts';

const referenceSchema = z.strictObject({ token: z.string(), digest: z.string() });

/** Copies that are archives of one tenant in a bank, made from copies on arrays. */
export class ArchiveCopies implements CopyStore {
  readonly kind = 'archive';
  readonly #bank: Bank;
  readonly #tenant: TenantId;
  readonly #arrays: ArrayCopies | undefined;

  /** Without `arrays`, archives can be read but not made. */
  constructor(bank: Bank, tenant: TenantId, arrays?: ArrayCopies) {
    this.#bank = bank;
    this.#tenant = tenant;
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
    const manifests = new ManifestStore(this.#bank, this.#tenant);
    const older =
      base?.copy.location === this.#bank.name ? await this.#base(manifests, base, volume.size, call) : {};
    await using source = await this.#arrays.openSince(from, older.from, call);
    const { digest } = await writeArchive(
      {
        bank: this.#bank,
        tenant: this.#tenant,
        token,
        source,
        ...(older.manifest === undefined ? {} : { base: older.manifest }),
      },
      call,
    );
    return {
      kind: 'archive',
      location: this.#bank.name,
      reference: { token, digest },
      volume: from.volume,
      takenAt: from.takenAt,
      proof: 'read-back',
    };
  }

  // A base that is damaged or of another size only costs the time it would have saved.
  async #base(
    manifests: ManifestStore,
    base: NonNullable<CopySource['base']>,
    size: number,
    call: CallOptions,
  ): Promise<{ manifest?: Manifest; from?: SnapshotCopy }> {
    try {
      const { token, digest } = manifestOf(base.copy);
      const manifest = await manifests.get(token, digest, call);
      if (manifest.size !== size) return {};
      return base.from === undefined ? { manifest } : { manifest, from: base.from };
    } catch (error) {
      if (isDamage(error)) return {};
      throw error;
    }
  }

  open(copy: SnapshotCopy, call: CallOptions): Promise<ArchiveReader> {
    return ArchiveReader.open(this.#bank, this.#tenant, manifestOf(copy), call);
  }

  async restoreInto(copy: SnapshotCopy, target: VolumeTarget, call: CopyCall): Promise<number> {
    await using archive = await this.open(copy, call);
    return archive.restoreInto(target, call);
  }

  async verify(copy: SnapshotCopy, call: CopyCall): Promise<Proof> {
    await using archive = await this.open(copy, call);
    await archive.verify(call);
    return 'read-back';
  }

  // Chunks may be shared with other archives, so only the manifest goes: what it alone named is then unreferenced.
  async remove(copy: SnapshotCopy, call: CallOptions): Promise<void> {
    await new ManifestStore(this.#bank, this.#tenant).remove(manifestOf(copy).token, call);
  }
}

function manifestOf({ reference, location }: SnapshotCopy): z.infer<typeof referenceSchema> {
  const parsed = referenceSchema.safeParse(reference);
  if (parsed.success) return parsed.data;
  throw new FafnirError('CORRUPT', `the record of a copy in bank ${location} names no manifest`);
}
