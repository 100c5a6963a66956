import type { CallOptions } from './call.ts';
import type { JsonObject } from './json.ts';
import type { SequentialSource, VolumeRef, VolumeSource, VolumeTarget } from './volume.ts';

/** What an array can do, as data. The engine refuses by name what is not declared here. */
export type ArrayCapabilities = {
  /** One `snapshot` call over several volumes holds one instant of all of them, whichever they are; see also `isGroup`. */
  readonly group: boolean;
  /** A snapshot holds one instant of its volume. False: it was copied while writes may have gone on. */
  readonly pointInTime: boolean;
  /** What `open(…, { since })` needs: nothing works, an older snapshot of the volume. */
  readonly changeBase: 'none' | 'snapshot';
  /** `map`: extents cost no reads. `scan`: the source reads the volume and tests for zeros. */
  readonly extents: 'map' | 'scan';
  /** The longest name that `snapshot` takes, in characters of a-z 0-9 and -; at least 48. */
  readonly nameLength: number;
  /** Calls that one engine may have under way at once, at least 1; reads and writes of open volumes aside. */
  readonly concurrency: number;
  /** Which snapshots `revert` takes: unless given, any; `latest`: one that is not its volume's latest is `UNSUPPORTED`. */
  readonly reverts?: 'any' | 'latest';
};

/** One volume's snapshot on the array. */
export type ArraySnapshot = {
  /** The name it was asked for under; all volumes of one call share it. */
  readonly name: string;
  /** The volume, with its size at that instant. */
  readonly volume: VolumeRef;
  /** What the array needs to find it again; opaque to everyone else, never a secret. At most 4,096 characters as JSON. */
  readonly reference: JsonObject;
  /** The instant by the array's clock, ISO 8601 in UTC; whoever asks again is told the same. */
  readonly takenAt: string;
};

/** What a call that takes snapshots carries. */
export interface SnapshotOptions extends CallOptions {
  /** True: nobody has asked for anything under this name before, so there is nothing to look for. */
  readonly isFirst?: boolean;
  /**
   * True: several volumes are to be of one instant, as `isGroup` said that they can be. Where they cannot any more, the
   * array rejects with `NOT_ONE_INSTANT` and keeps nothing. Arrays whose `group` is true need not heed it.
   */
  readonly group?: boolean;
  /**
   * For the array to call as soon as all the volumes may be written to again, while it goes on with what is left to do:
   * what is paused for the snapshots need not wait for that. From then on a repeat, also after a crash, finishes these
   * snapshots and takes no others. An array that does not call it is waited for.
   */
  readonly taken?: () => void;
}

/** How a snapshot is opened. */
export interface OpenOptions {
  /** An older snapshot of the same volume: extents may be `same`. */
  readonly since?: ArraySnapshot;
  /**
   * Names who reads, by 1 to 64 characters of a-z 0-9 and -; arrays with `endReading` refuse others with `INVALID_ID`. It is of
   * one snapshot, which one process may have open several times at once. That is in nobody's way but that of a dead caller
   * with the same token, whose place it takes: what that one left is used or goes, at the latest with the last close. Of readers
   * without a token one may end the reading of another, and what a dead one left may stay until the snapshot is opened so again, or removed.
   */
  readonly token?: string;
}

/** Role: the array makes volumes and takes bytes. */
export interface ArrayTarget {
  /**
   * A new volume that reads as zeros; its id need not be the name. Find-or-create: a repeat with the same name and size returns the volume of
   * the first call, whatever was written to it since; the same name with another size is `ALREADY_EXISTS`.
   */
  create(request: { readonly name: string; readonly size: number }, call: CallOptions): Promise<VolumeRef>;
  /** Opens a volume for writing; `NOT_FOUND` where there is none. */
  openForWrite(volume: VolumeRef, call: CallOptions): Promise<VolumeTarget>;
  /** Removes a volume; a missing one is success. Its snapshots may go with it only where the array says so. */
  remove(volume: VolumeRef, call: CallOptions): Promise<void>;
}

/**
 * A vendor's block storage behind one interface.
 *
 * What the array must give: a snapshot never changes and survives writes to, and a revert of, its volume; when a
 * call has resolved, its effect survives a power loss. Errors carry the package's codes; `retryable` ones are
 * retried by the engine, never by the array. What it answers is checked and treated as untrusted.
 */
export interface StorageArray {
  /** The version of this contract. */
  readonly contract: 1;
  /** Unique within a provider; what {@link VolumeRef} `array` names. */
  readonly name: string;
  /** The same answer for as long as the process lives; may probe the system when first called. */
  capabilities(call: CallOptions): Promise<ArrayCapabilities>;
  /**
   * Snapshots of the volumes (one or more, distinct, of this array) under `name`, in their order; all or none. With `group`, the array's or the call's, one instant over
   * the list, which all of them tell as `takenAt`; an array that finds that it was not rejects with `NOT_ONE_INSTANT` and keeps nothing.
   * A repeat with the same name and volumes returns the same snapshots; what a dead caller left half done is
   * finished or taken anew. The same name for other volumes, or when one of the set was removed since, is
   * `ALREADY_EXISTS`; a missing volume `NOT_FOUND`; one of another array `UNKNOWN_ARRAY`.
   */
  snapshot(
    volumes: readonly VolumeRef[],
    name: string,
    call: SnapshotOptions,
  ): Promise<readonly ArraySnapshot[]>;
  /**
   * The snapshots under exactly this name, also of a set that a dead caller left half done; empty where none is. Others
   * make snapshots under names that `snapshot` refuses: this method, `list`, `open` and `remove` know each of them that
   * cannot be taken for anything else, such as an option, a path or a half-done set. `INVALID_ID` for any other name.
   */
  find(name: string, call: CallOptions): Promise<readonly ArraySnapshot[]>;
  /** Snapshots whose names begin with `prefix`, in ascending order of name. Holds names at most, never all records. */
  list(prefix: string, call: CallOptions): AsyncIterable<ArraySnapshot>;
  /**
   * Removes one volume's snapshot, and first what readers made that stands in the way; a missing one is success. Others of the same name stay. Once it has resolved, `find`
   * tells of it no more.
   */
  remove(snapshot: ArraySnapshot, call: CallOptions): Promise<void>;
  /**
   * Opens a snapshot for reading; `NOT_FOUND` where there is none. With `since`, rejects with `UNSUPPORTED` where
   * `changeBase` is none, and with `NOT_FOUND` naming `since` where that one is gone. An array never guesses `same`.
   */
  open(
    snapshot: ArraySnapshot,
    options: OpenOptions,
    call: CallOptions,
  ): Promise<VolumeSource | SequentialSource>;
  /**
   * Role, of arrays that make something to read a snapshot: removes what `open` made under this token and nobody has closed.
   * Whoever still reads may fail, never read wrong bytes, and closes as ever. Resolves with what went, for people; nothing is success.
   */
  endReading?(token: string, call: CallOptions): Promise<readonly string[]>;
  /**
   * Role, where `group` is false: whether one `snapshot` call over exactly these volumes (two or more, distinct, of this array),
   * with `group`, holds one instant of all of them. It is true of now, without effects, and may have changed when the call is made. A
   * missing volume is `NOT_FOUND`; one of another array `UNKNOWN_ARRAY`.
   */
  isGroup?(volumes: readonly VolumeRef[], call: CallOptions): Promise<boolean>;
  /** Role: see {@link ArrayTarget}. */
  readonly target?: ArrayTarget;
  /**
   * Role: a new volume with the snapshot's bytes; find-or-create by name like {@link ArrayTarget.create}. `NOT_FOUND` where
   * the snapshot is gone, though what was made before may be returned all the same.
   */
  clone?(snapshot: ArraySnapshot, name: string, call: CallOptions): Promise<VolumeRef>;
  /**
   * Role: the volume holds the snapshot's bytes again, all or nothing; may be repeated; every snapshot stays. `NOT_FOUND`
   * where there is no such snapshot. What was opened before need not see it.
   */
  revert?(snapshot: ArraySnapshot, call: CallOptions): Promise<void>;
}
