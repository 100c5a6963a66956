import { type Bank, createEngine, defineProvider, type Engine, type Provider } from 'fafnir';
import { rbdArray } from 'fafnir/arrays/rbd';
import { s3Bank } from 'fafnir/banks/s3';
import { swiftBank } from 'fafnir/banks/swift';
import { retried } from 'fafnir/banks/wrappers';
import { keyFile } from 'fafnir/keys/file';
import { sqliteStore } from 'fafnir/stores/sqlite';
import { volumeSnapshot } from 'fafnir/strategies/volume-snapshot';
import { images } from './images.ts';
import { keyPath, settings, storePath } from './settings.ts';

/** Who acts. */
export const identity = { tenant: 'acme', actor: 'example' } as const;

const parts = [images(rbdArray({ name: 'ceph', ...settings.rbd }))];
const keys = keyFile({ path: keyPath });

// The same images, by two providers that differ in where archives go.
const provider = (name: string, bank: Bank): Provider =>
  defineProvider({
    name,
    site: 'here',
    parts,
    strategies: [volumeSnapshot()],
    banks: [{ bank: retried(bank), keys, role: 'primary' }],
  });
const providers = [
  provider('to-swift', swiftBank({ name: 'swift', ...settings.swift })),
  provider('to-s3', s3Bank({ name: 's3', ...settings.s3 })),
];

/** Starts an engine over the job store that both processes share; only a worker runs what was asked for. */
export function startEngine({ worker }: { readonly worker: boolean }): Promise<Engine> {
  return createEngine({ store: sqliteStore(storePath), providers, worker });
}
