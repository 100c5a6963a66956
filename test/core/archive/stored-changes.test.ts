import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import {
  type ChangeLists,
  type CommittedChanges,
  getChanges,
  putChanges,
} from '../../../src/core/archive/stored-changes.ts';
import type { Vault } from '../../../src/core/archive/vault.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { parseCheckpointId } from '../../../src/core/identity.ts';
import { vaultOf } from './vaults.ts';
import { countingCall, keysOf } from './volumes.ts';

const [C0, C1] = [parseCheckpointId('c0'), parseCheckpointId('c1')];
const RESOURCES = 400_000;

/** So many that both lists need several segments. */
const MANY: ChangeLists = {
  joined: Array.from({ length: 200_000 }, (_, at) => 2 * at),
  left: Array.from({ length: 30_000 }, (_, at) => {
    const id = String(at).padStart(7, '0');
    return { type: 'T', id, name: `name of ${id}` };
  }),
};

type Told = Extract<CommittedChanges, { readonly joined: number }>;

async function stored(vault: Vault, changes: ChangeLists): Promise<Told> {
  const lists = await putChanges(vault, C1, changes, countingCall());
  return { since: C0, joined: changes.joined.length, left: changes.left.length, lists };
}

const read = (vault: Vault, told: Told, resources = RESOURCES): Promise<unknown> =>
  getChanges(vault, C1, told, resources, countingCall());

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'none',
    (error: unknown) => (FafnirError.is(error) ? error.code : error),
  );

describe('stored changes', () => {
  it('are read as they were stored, in several segments', async () => {
    const bank = memoryBank({ name: 'bank' });
    const told = await stored(vaultOf(bank), MANY);
    expect(await read(vaultOf(bank), told)).toEqual(MANY);
    expect((await keysOf(bank, 'acme/graphs/')).length).toBeGreaterThan(4);
  });

  it('are no object where nothing joined and nothing left', async () => {
    const bank = memoryBank({ name: 'bank' });
    const told = await stored(vaultOf(bank), { joined: [], left: [] });
    expect(told.lists).toBe(null);
    expect(await read(vaultOf(bank), told)).toEqual({ joined: [], left: [] });
    expect(await keysOf(bank, 'acme/graphs/')).toEqual([]);
  });

  it.each<[string, ChangeLists, Partial<Told>, number]>([
    ['a position beyond the graph', { joined: [1, 9], left: [] }, {}, 9],
    ['positions out of order', { joined: [2, 1], left: [] }, {}, 9],
    ['a position twice', { joined: [2, 2], left: [] }, {}, 9],
    ['more than the commit says', { joined: [1, 2], left: [] }, { joined: 1 }, 9],
    ['fewer than the commit says', { joined: [1], left: [] }, { left: 1 }, 9],
    ['more that left than the commit says', { joined: [], left: MANY.left.slice(0, 3) }, { left: 2 }, 9],
    ['nothing, though the commit counts some', { joined: [], left: [] }, { joined: 1 }, 9],
  ])('with %s are refused', async (_, lists, told, resources) => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    expect(await codeOf(read(vault, { ...(await stored(vault, lists)), ...told }, resources))).toBe(
      'CORRUPT',
    );
  });
});
