import type { SnapshotStrategy } from 'fafnir';

const LARGE = 2 ** 40;

/** Archives what is small in the background, and keeps the newest snapshot; of what is large, all snapshots stay. */
export const nightlyArchive: SnapshotStrategy = {
  contract: 1,
  name: 'nightly-archive',
  canHandle: ({ volume }) => ({
    canHandle: true,
    reason: `volume ${volume.id} is ${volume.size < LARGE ? 'small' : 'large'}`,
  }),
  plan: ({ volume }) =>
    volume.size < LARGE
      ? { required: ['array'], background: ['archive'], proof: 'read-back', keep: 1 }
      : { required: ['array'], background: [], proof: 'stored', keep: 'all' },
};
