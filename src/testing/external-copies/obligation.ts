import type { ExternalCopies, SnapshotCopy } from '../../core/contracts/index.ts';
import type { StorageArrayFixture } from '../storage-array/obligation.ts';

/** A fresh store of copies, and the array whose snapshots it copies, which can be written to. */
export interface ExternalCopiesFixture
  extends Pick<StorageArrayFixture, 'array' | 'sizeUnit' | 'createVolume' | 'write' | 'dispose'> {
  /** Has no copies yet. */
  readonly store: ExternalCopies;
  /**
   * Leaves what a process leaves that dies while it reads a copy under a token; left out where nothing is made to be read.
   */
  leave?(copy: SnapshotCopy, token: string): Promise<void>;
  /** From now on the service restores something else of every copy, and says nothing; left out where it cannot be made to. */
  spoil?(): Promise<void>;
}

/** What a fixture must have for a case to apply. */
export type Need = 'leave' | 'spoil';

/** One case. */
export interface Obligation {
  /** As a sentence. */
  readonly name: string;
  /** Without it the case applies to every store. */
  readonly needs?: Need;
  /** Tries it. */
  run(fixture: ExternalCopiesFixture): Promise<void>;
}
