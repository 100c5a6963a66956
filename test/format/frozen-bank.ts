import { chmod, cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { Vault } from '../../src/core/archive/vault.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { ResourceGraph } from '../../src/core/graph/resource-graph.ts';
import { parseTenantId } from '../../src/core/identity.ts';
import { keyFile } from '../../src/keys/file.ts';
import { temporaryDirectory } from '../core/engine/application.ts';

/** A volume, as a frozen bank holds it. */
export interface ExpectedVolume {
  /** The resource's type. */
  readonly type: string;
  /** The resource's id. */
  readonly id: string;
  /** The best proof of its archive. */
  readonly proof: string;
  /** Bytes. */
  readonly size: number;
  /** Of all bytes. */
  readonly sha256?: string;
  /** Of what is not zero, where the volume is too large to read it all. */
  readonly extents?: readonly { readonly begin: number; readonly bytes: number; readonly sha256: string }[];
}

/** A graph in the form of the bank. */
export interface ExpectedGraph {
  /** Ascending by key. */
  readonly resources: readonly object[];
  /** Rows: a position, and those that it depends on. A position may have several. */
  readonly edges: readonly (readonly number[])[];
  /** Keys. */
  readonly excluded: readonly object[];
  /** With what went wrong. */
  readonly incomplete: readonly object[];
}

/** A graph as it is expected, each position with one row. */
export function expectedGraphOf(graph: ResourceGraph): ExpectedGraph {
  const { resources, excluded, incomplete } = graph;
  const rows = resources.map((_, position) => [position, ...graph.dependencies(position)]);
  return { resources, edges: rows.filter((row) => row.length > 1), excluded, incomplete };
}

/** A checkpoint, as a frozen bank holds it. */
export interface ExpectedCheckpoint {
  /** Its id. */
  readonly id: string;
  /** The id of its plan. */
  readonly plan: string;
  /** When it was made. */
  readonly createdAt: string;
  /** What it is good for. */
  readonly state: string;
  /** What it is of. */
  readonly graph: ExpectedGraph;
  /** Those of the graph, in its order; none where it was removed. */
  readonly volumes: readonly ExpectedVolume[];
}

/** What a frozen bank holds. */
export interface Expected {
  /** Whose. */
  readonly tenant: string;
  /** The bank's name. */
  readonly bank: string;
  /** In the order of their keys. */
  readonly checkpoints: readonly ExpectedCheckpoint[];
}

/** A copy of a frozen bank. */
export interface FrozenBank extends AsyncDisposable {
  /** The folder with the bank in `bank`, and with `keys.json`. */
  readonly path: string;
  /** The tenant's part of it. */
  readonly vault: Vault;
  /** What is in it. */
  readonly expected: Expected;
}

/** Copies a frozen bank from a folder here, so that no test can change it. */
export async function openFrozenBank(name: 'written' | 'sample'): Promise<FrozenBank> {
  const { path, [Symbol.asyncDispose]: remove } = await temporaryDirectory();
  await cp(join(import.meta.dirname, name), path, { recursive: true });
  // Git keeps no such permissions.
  await chmod(join(path, 'keys.json'), 0o600);
  const expected = JSON.parse(await readFile(join(path, 'expected.json'), 'utf8')) as Expected;
  const vault = new Vault({
    bank: filesystemBank({ root: join(path, 'bank'), name: expected.bank }),
    tenant: parseTenantId(expected.tenant),
    keys: keyFile({ path: join(path, 'keys.json') }),
    clock: systemClock,
  });
  return {
    path,
    vault,
    expected,
    [Symbol.asyncDispose]: remove,
  };
}
