import type { Engine, StorageArray } from '../../src/index.ts';
import type { SiteName } from './site.ts';

/** A snapshot that is on an array. */
export interface FoundSnapshot {
  /** What it is called there. */
  readonly name: string;
  /** The array's id of its volume. */
  readonly volume: string;
}

/**
 * The storage below the application that is protected, site `a`. Its records, and a file for each volume, are in the
 * case's directory whatever the storage is.
 */
export interface SiteStorage {
  /** On the command line. */
  readonly name: SiteName;
  /** Whether a copy of a case's directory is a case of its own. */
  readonly isCopied: boolean;
  /** The program whose starts are boundaries: it goes on when its caller is dead. */
  readonly program?: string;
  /** Whether processes are killed at a place. */
  isStruck(place: string): boolean;
  /** The array; `tracking` tells what changed since a snapshot. */
  arrays(directory: string): { readonly plain: StorageArray; readonly tracking: StorageArray };
  /** The array's id of an application's volume. */
  volumeId(directory: string, volume: string): string;
  /** Makes the array's volumes hold what the application's files do. */
  publish(directory: string): Promise<void>;
  /** All snapshots of the case, those half made too. */
  snapshots(directory: string): Promise<readonly FoundSnapshot[]>;
  /** What is otherwise with the array's volumes than the application's files say. */
  differences(directory: string): Promise<readonly string[]>;
  /** Reconciles once; resolves with what was wrong about that. */
  reconcile(engine: Engine): Promise<readonly string[]>;
  /** Removes what is not in the case's directory. */
  clear(directory: string): Promise<void>;
}
