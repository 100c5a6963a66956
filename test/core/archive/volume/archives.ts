import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import type { StoredManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { ArchiveReader } from '../../../../src/core/archive/volume/read-archive.ts';
import { type ArchiveRequest, writeArchive } from '../../../../src/core/archive/volume/write-archive.ts';
import type { CopyCall, SequentialSource, VolumeSource } from '../../../../src/core/contracts/index.ts';
import { countingCall } from '../volumes.ts';

/** Archives a source on the test's own thread. */
export const archive = (
  vault: Vault,
  token: string,
  source: VolumeSource | SequentialSource,
  more: Partial<ArchiveRequest> = {},
  call: CopyCall = countingCall(),
): Promise<StoredManifest> => writeArchive({ vault, token, source, threads: inlineThreads(), ...more }, call);

/** Opens an archive. */
export const openArchive = (vault: Vault, manifest: StoredManifest): Promise<ArchiveReader> =>
  ArchiveReader.open(vault, manifest, { threads: inlineThreads() }, countingCall());
