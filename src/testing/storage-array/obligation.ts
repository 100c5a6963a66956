import type { StorageArray, VolumeRef } from '../../core/contracts/index.ts';

/** A fresh array, with what the suite needs to play the volumes' user. */
export interface StorageArrayFixture {
  /** Has no snapshots yet. */
  readonly array: StorageArray;
  /** Bytes of which every volume's size is a multiple; 1 unless given. */
  readonly sizeUnit?: number;
  /** Makes a volume that reads as zeros. */
  createVolume(size: number): Promise<VolumeRef>;
  /** Writes as the volume's user would. */
  write(volume: VolumeRef, offset: number, data: Uint8Array): Promise<void>;
  /** Snapshots a volume past the array, as others do, under a name that `snapshot` refuses; left out where none can be. */
  snapshotAs?(volume: VolumeRef, name: string): Promise<void>;
  /** Makes of volumes what `isGroup` is true of, past the array; left out where the array has no such role. */
  formGroup?(volumes: readonly VolumeRef[]): Promise<void>;
  /** Removes everything. */
  dispose(): Promise<void>;
}

/** What an array must declare for a case to apply. */
export type Need =
  | 'changes'
  | 'clone'
  | 'group'
  | 'groups'
  | 'no-changes'
  | 'others'
  | 'readings'
  | 'revert'
  | 'revert-any'
  | 'revert-latest'
  | 'target';

/** One case. */
export interface Obligation {
  /** As a sentence. */
  readonly name: string;
  /** Without it the case applies to every array. */
  readonly needs?: Need;
  /** Tries it. */
  run(fixture: StorageArrayFixture): Promise<void>;
}
