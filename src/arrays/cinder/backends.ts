/** What Cinder's drivers do differently, and Cinder does not tell its users. */
export interface BackendFacts {
  /** Why snapshots of its volumes are no copies; missing where they are. */
  readonly refused?: string;
  /** A volume made from a snapshot needs it no more. */
  readonly clonesStandAlone: boolean;
}

/** The kinds of backends that differ. */
export type CinderBackend = 'nfs' | 'other' | 'rbd' | 'rbd-flattened';

/** The facts of each kind. */
export const BACKENDS: Readonly<Record<CinderBackend, BackendFacts>> = {
  nfs: {
    refused:
      'snapshots of NFS volumes are overlays of files, which Cinder has been seen to read as if they were the volume',
    clonesStandAlone: false,
  },
  other: { clonesStandAlone: true },
  // The option rbd_flatten_volume_from_snapshot is off unless the operator sets it.
  rbd: { clonesStandAlone: false },
  'rbd-flattened': { clonesStandAlone: true },
};
