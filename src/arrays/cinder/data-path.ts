import type {
  ArrayCapabilities,
  CallOptions,
  SequentialSource,
  VolumeSource,
  VolumeTarget,
} from '../../core/contracts/index.ts';

/** The ways to the bytes of a backend. */
export type PathKind = 'attached' | 'backup' | 'files' | 'image' | 'rbd';

/** A volume of Cinder to write. */
export interface PathVolume {
  /** Its id, a UUID. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
}

/** A snapshot of Cinder to read. */
export interface PathSnapshot {
  /** Its id, a UUID. */
  readonly id: string;
  /** For messages. */
  readonly name: string;
  /** Its volume, with the size at that instant. */
  readonly volume: PathVolume;
  /** Names what is made to read it: the reader's token, or its own id. */
  readonly reader: string;
}

/** A way to the bytes of volumes and snapshots, which Cinder itself does not give. */
export interface DataPath {
  /** What references of snapshots call it. */
  readonly kind: PathKind;
  /** What sources can tell beside bytes. */
  powers(call: CallOptions): Promise<Pick<ArrayCapabilities, 'changeBase' | 'extents'>>;
  /** Opens a snapshot, with what is the same as in an older one of its volume where that is given. */
  open(
    snapshot: PathSnapshot,
    since: PathSnapshot | undefined,
    call: CallOptions,
  ): Promise<SequentialSource | VolumeSource>;
  /** Opens a volume that nobody uses; missing where there is no way to write one that exists. */
  openForWrite?(volume: PathVolume, call: CallOptions): Promise<VolumeTarget>;
  /**
   * Makes a volume that nobody uses what a snapshot of it holds, whichever it is; one that dies half-way leaves it mixed
   * until it is repeated. Missing where only Cinder can, which reverts to the latest one.
   */
  revert?(snapshot: PathSnapshot, call: CallOptions): Promise<void>;
  /**
   * Removes what dead callers left that were reading by this name, or were reading or writing the volume of this id.
   * Resolves with what that was, for people.
   */
  sweep?(name: string, call: CallOptions): Promise<readonly string[]>;
}
