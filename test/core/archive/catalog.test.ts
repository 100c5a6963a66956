import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { getArtifacts, putArtifacts } from '../../../src/core/archive/artifacts.ts';
import {
  type Checkpoint,
  everyCopy,
  findCommit,
  listCheckpoints,
  openCheckpoint,
} from '../../../src/core/archive/catalog.ts';
import { type Addendum, putAddendum } from '../../../src/core/archive/checkpoint.ts';
import { getGraph, putGraph } from '../../../src/core/archive/stored-graph.ts';
import { isBankKey } from '../../../src/core/bank-keys.ts';
import { bankKeys } from '../../../src/core/archive/keys.ts';
import type { Bank, BankObject, JsonObject, Proof } from '../../../src/core/contracts/index.ts';
import { parseCheckpointId, parseJobId, parsePlanId, parseTenantId } from '../../../src/core/identity.ts';
import type { Vault } from '../../../src/core/archive/vault.ts';
import { shuffler } from '../graph/models.ts';
import { artifactOf, commitTo, INSTANT, LOCATIONS } from './checkpoints.ts';
import { flipped } from './data-keys.ts';
import { vaultOf } from './vaults.ts';
import { ACME, bankWith, countingCall, keysOf } from './volumes.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';

const VOLUMES = ['v1', 'v2', 'v3'];
const PROOFS: readonly Proof[] = ['stored', 'read-back', 'source-compared', 'restored'];
const C1 = parseCheckpointId('c1');

/** The same bank, which lists in another order and some objects twice, as a union of two sites might. */
const shuffled = (bank: Bank, seed: number): Bank =>
  bankWith(
    (sound) => ({
      async *list(prefix, options) {
        const objects: BankObject[] = [];
        for await (const object of sound.list(prefix, options)) objects.push(object);
        yield* shuffler(seed)([...objects, ...objects.filter((_, at) => (at + seed) % 2 === 0)]);
      },
    }),
    bank,
  );

const newVault = (): Vault => vaultOf(memoryBank({ name: 'bank' }));

async function listed(vault: Vault): Promise<Checkpoint[]> {
  const checkpoints: Checkpoint[] = [];
  for await (const one of listCheckpoints(vault, {}, countingCall())) checkpoints.push(one);
  return checkpoints;
}

const aboutCopy = fc.record({
  job: fc.constantFrom(parseJobId('j1'), parseJobId('j2')),
  at: fc.constant(INSTANT),
  volume: fc.constantFrom(...VOLUMES).map((id) => ({ array: 'files', id })),
  copy: fc.constantFrom(...LOCATIONS).map(([kind, location]) => ({ kind, location })),
});
const addendum: fc.Arbitrary<Addendum> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(aboutCopy, fc.constantFrom(...PROOFS))
      .map(([about, proof]): Addendum => ({ ...about, kind: 'copy-proven', proof })),
  },
  { weight: 3, arbitrary: aboutCopy.map((about): Addendum => ({ ...about, kind: 'copy-removed' })) },
  {
    weight: 3,
    arbitrary: aboutCopy.map((about): Addendum => ({ ...about, kind: 'copy-lost', reason: 'gone' })),
  },
  { weight: 1, arbitrary: fc.constant<Addendum>({ kind: 'removed', job: parseJobId('j1'), at: INSTANT }) },
);

/** An addendum as it was put; a proof may name losses that were put before, of whichever copies. */
type Put = { readonly addendum: Addendum; readonly name: string };

/** Appends, and says under which name. */
async function put(vault: Vault, addendum: Addendum): Promise<Put> {
  const before = new Set(await keysOf(vault.bank, 'acme/addenda/c1/'));
  await putAddendum(vault, C1, addendum, countingCall());
  const key = (await keysOf(vault.bank, 'acme/addenda/c1/')).find((one) => !before.has(one)) ?? '';
  return { addendum, name: key.slice(key.lastIndexOf('/') + 1) };
}

async function putAll(
  vault: Vault,
  addenda: readonly (readonly [Addendum, readonly number[]])[],
): Promise<Put[]> {
  const all: Put[] = [];
  for (const [addendum, picks] of addenda) {
    const losses = all.filter((one) => one.addendum.kind === 'copy-lost');
    const names = new Set(picks.flatMap((pick) => losses[pick]?.name ?? []));
    const supersedes = names.size === 0 ? {} : { supersedes: [...names] };
    all.push(await put(vault, addendum.kind === 'copy-proven' ? { ...addendum, ...supersedes } : addendum));
  }
  return all;
}

const anyAddenda = fc.array(fc.tuple(addendum, fc.array(fc.nat({ max: 4 }), { maxLength: 3 })), {
  maxLength: 14,
});

describe('the fold of addenda', () => {
  it('does not depend on their order or on repeats, and the list agrees with it', async () => {
    await fc.assert(
      fc.asyncProperty(anyAddenda, fc.nat(), async (drawn, seed) => {
        const vault = newVault();
        const commit = await commitTo(vault, VOLUMES);
        const all = await putAll(vault, [...drawn, ...drawn.slice(0, 3)]);
        const addenda = all.map(({ addendum }) => addendum);
        const opened = await openCheckpoint(vault, commit, countingCall());
        const again = vaultOf(shuffled(vault.bank, seed));
        expect(await openCheckpoint(again, commit, countingCall())).toEqual(opened);
        expect((await listed(vault)).map(({ state }) => state)).toEqual([opened.state]);

        const isGone = (id: string, kind: string): boolean => {
          const about = all.filter(
            ({ addendum: one }) => 'volume' in one && one.volume.id === id && one.copy.kind === kind,
          );
          const isSuperseded = (name: string): boolean =>
            about.some(
              ({ addendum: one }) => one.kind === 'copy-proven' && (one.supersedes ?? []).includes(name),
            );
          return about.some(
            ({ addendum: one, name }) =>
              one.kind === 'copy-removed' || (one.kind === 'copy-lost' && !isSuperseded(name)),
          );
        };
        const left = VOLUMES.map((id) => LOCATIONS.filter(([kind]) => !isGone(id, kind)));
        const lost = left.filter((copies) => copies.length === 0).length;
        const state = lost === 0 ? 'available' : lost < VOLUMES.length ? 'partial' : 'failed';
        expect(opened.state).toBe(addenda.some(({ kind }) => kind === 'removed') ? 'removed' : state);
        for (const [at, { volume }] of opened.artifacts.entries()) {
          expect(volume?.copies.map(({ kind, location }) => [kind, location])).toEqual(left[at]);
          for (const { kind, proof } of volume?.copies ?? []) {
            const proofs = addenda.flatMap((one) =>
              one.kind === 'copy-proven' && one.volume.id === VOLUMES[at] && one.copy.kind === kind
                ? one.proof
                : [],
            );
            expect(proof).toBe(PROOFS[Math.max(0, ...proofs.map((level) => PROOFS.indexOf(level)))]);
          }
        }
      }),
    );
  });

  it('counts a lost copy again by a proof of it that names what called it lost, and by no other', async () => {
    const vault = newVault();
    const commit = await commitTo(vault, ['v1']);
    const copyOf = (kind: 'array' | 'archive', location: string) =>
      ({
        job: parseJobId('j1'),
        at: INSTANT,
        volume: { array: 'files', id: 'v1' },
        copy: { kind, location },
      }) as const;
    const [archive, array] = [copyOf('archive', 'bank'), copyOf('array', 'files')];
    const counted = async (): Promise<string[]> => {
      const { artifacts } = await openCheckpoint(vault, commit, countingCall());
      return artifacts.flatMap(({ volume }) => volume?.copies.map(({ kind }) => kind) ?? []);
    };
    const lost = { ...archive, kind: 'copy-lost', reason: 'gone' } as const;
    const [first, second] = [await put(vault, lost), await put(vault, lost)];
    expect(first.name).not.toBe(second.name);
    expect((await openCheckpoint(vault, commit, countingCall())).lost).toMatchObject([
      { copy: { kind: 'archive', location: 'bank' }, losses: [first.name, second.name].sort() },
    ]);
    const proven = { kind: 'copy-proven', proof: 'read-back' } as const;
    const names = [first.name, second.name];
    await put(vault, { ...array, ...proven, supersedes: names });
    await put(vault, { ...archive, ...proven });
    await put(vault, { ...archive, ...proven, supersedes: ['copy-lost.none', 'copy-lost'] });
    await put(vault, { ...archive, ...proven, supersedes: [first.name] });
    expect(await counted()).toEqual(['array']);
    await put(vault, { ...archive, ...proven, supersedes: names });
    expect(await counted()).toEqual(['array', 'archive']);
    const third = await put(vault, lost);
    expect(await counted()).toEqual(['array']);
    expect((await openCheckpoint(vault, commit, countingCall())).lost[0]).not.toHaveProperty('bySource');
    const fourth = await put(vault, { ...lost, by: 'source' });
    expect((await openCheckpoint(vault, commit, countingCall())).lost[0]).toMatchObject({
      bySource: true,
      losses: [third.name, fourth.name].sort(),
    });
    await put(vault, { ...archive, kind: 'copy-removed' });
    await put(vault, { ...archive, ...proven, supersedes: [...names, third.name] });
    const { lost: stillLost } = await openCheckpoint(vault, commit, countingCall());
    expect([await counted(), stillLost]).toEqual([['array'], []]);
  });

  it('counts a copy that was added as one of the volume, unless there is one where it is', async () => {
    const vault = newVault();
    const commit = await commitTo(vault, ['v1', 'v2']);
    const [v1, v2] = ['v1', 'v2'].map((id) => ({ array: 'files', id, size: 1 }));
    const added = (volume = v1, reference: JsonObject = {}, location = 'vault'): Addendum => ({
      kind: 'copy-added',
      job: parseJobId('j1'),
      at: INSTANT,
      copy: {
        kind: 'archive',
        location,
        reference,
        volume: volume ?? { array: 'files', id: 'none', size: 1 },
        takenAt: INSTANT,
        proof: 'read-back',
      },
    });
    await putAll(
      vault,
      [
        added(),
        added(v2, { n: 1 }),
        added(v2, { n: 2 }),
        added(v1, { n: 3 }, 'bank'),
        added({ array: 'files', id: 'of nobody', size: 1 }),
      ].map((addendum) => [addendum, []]),
    );
    const opened = await openCheckpoint(vault, commit, countingCall());
    const copies = opened.artifacts.map(({ volume }) => volume?.copies ?? []);
    expect(copies.map((of) => of.map(({ location }) => location))).toEqual([
      ['files', 'bank', 'vault'],
      ['files', 'bank', 'vault'],
    ]);
    expect(copies[0]?.[1]?.reference).toEqual({});
    for (const seed of [1, 2, 3])
      expect(await openCheckpoint(vaultOf(shuffled(vault.bank, seed)), commit, countingCall())).toEqual(
        opened,
      );
    expect((await listed(vault)).map(({ state }) => state)).toEqual(['available']);

    const about = { job: parseJobId('j2'), at: INSTANT, volume: { array: 'files', id: 'v1' } };
    const copy = { kind: 'archive', location: 'vault' } as const;
    await put(vault, { ...about, copy, kind: 'copy-lost', reason: 'gone' });
    const lost = await openCheckpoint(vault, commit, countingCall());
    expect(lost.lost.map((one) => one.copy.location)).toEqual(['vault']);
    await put(vault, { ...about, copy, kind: 'copy-removed' });
    const removed = await openCheckpoint(vault, commit, countingCall());
    expect(removed.removed.map(({ location }) => location)).toEqual(['vault']);
    expect(everyCopy(removed)).toHaveLength(6);
  });

  it('ignores when an addendum was written, so that a repeat adds no object', async () => {
    const vault = newVault();
    const commit = await commitTo(vault, VOLUMES);
    const removed = { kind: 'removed', job: parseJobId('j1') } as const;
    await putAddendum(vault, commit.id, { ...removed, at: INSTANT }, countingCall());
    await putAddendum(vault, commit.id, { ...removed, at: '2026-01-01T00:00:01.000Z' }, countingCall());
    expect(await keysOf(vault.bank, 'acme/addenda/')).toEqual(['acme/addenda/c1/removed']);
  });

  it.each(['acme/addenda/c1/removed', 'acme/addenda/c1/copy-lost.0'])(
    'is refused where %s is damaged',
    async (key) => {
      const vault = newVault();
      const { bank } = vault;
      const commit = await commitTo(vault, VOLUMES);
      await bank.put(key, Buffer.from('damaged'), {
        ifAbsent: true,
        ...countingCall(),
      });
      await expect(openCheckpoint(vault, commit, countingCall())).rejects.toMatchObject({ code: 'CORRUPT' });
      expect(await listed(vault)).toMatchObject([{ id: 'c1', state: 'failed', error: { code: 'CORRUPT' } }]);
    },
  );
});

describe('a list of checkpoints', () => {
  it('has those of the tenant in the order they were made', async () => {
    const vault = newVault();
    for (const checkpoint of ['c2', 'c3', 'c1']) await commitTo(vault, VOLUMES, { checkpoint });
    await commitTo(vaultOf(vault.bank, parseTenantId('acme-2')), VOLUMES, { checkpoint: 'c4' });
    expect((await listed(vault)).map(({ id }) => id)).toEqual(['c1', 'c2', 'c3']);
  });

  it('shows a damaged commit as failed, beside the others', async () => {
    const vault = newVault();
    const { bank } = vault;
    for (const checkpoint of ['c1', 'c2']) await commitTo(vault, VOLUMES, { checkpoint });
    await bank.put('acme/commits/c1=p1', Buffer.from('damaged'), { ifAbsent: false, ...countingCall() });
    expect(await listed(vault)).toMatchObject([
      { id: 'c1', plan: { id: 'p1' }, state: 'failed', error: { code: 'CORRUPT' } },
      { id: 'c2', state: 'available' },
    ]);
  });

  it('shows a commit that names a data key which nobody ever had as failed, beside the others', async () => {
    const vault = newVault();
    const { bank } = vault;
    for (const checkpoint of ['c1', 'c2']) await commitTo(vault, VOLUMES, { checkpoint });
    const body = await bank.get('acme/commits/c1=p1', { limit: 1e6 }, countingCall());
    // Bytes 8 to 15 of an object name its key.
    await bank.put('acme/commits/c1=p1', flipped(body, 8 * 8), { ifAbsent: false, ...countingCall() });
    expect(await listed(vault)).toMatchObject([
      { id: 'c1', state: 'failed', error: { code: 'CORRUPT' } },
      { id: 'c2', state: 'available' },
    ]);
  });

  it('ends with UNKNOWN_KEY where the key-encryption key is not held, which is no damage', async () => {
    const vault = newVault();
    await commitTo(vault, VOLUMES);
    const elsewhere = vaultOf(vault.bank, ACME, memoryKeys());
    await expect(listed(elsewhere)).rejects.toMatchObject({ code: 'UNKNOWN_KEY' });
  });

  it('shows a removed checkpoint as removed, also where the bank does not list that yet', async () => {
    const vault = newVault();
    const commit = await commitTo(vault, VOLUMES);
    await putAddendum(
      vault,
      commit.id,
      { kind: 'removed', job: parseJobId('j1'), at: INSTANT },
      countingCall(),
    );
    const late = bankWith(
      (sound) => ({
        async *list(prefix, options) {
          if (prefix.includes('/addenda/')) return;
          yield* sound.list(prefix, options);
        },
      }),
      vault.bank,
    );
    expect(await listed(vaultOf(late))).toMatchObject([{ id: 'c1', state: 'removed' }]);
  });

  it('shows a checkpoint whose artifacts are gone as failed', async () => {
    const vault = newVault();
    const { bank } = vault;
    await commitTo(vault, VOLUMES);
    await bank.remove(await keysOf(bank, 'acme/artifacts/'), countingCall());
    expect(await listed(vault)).toMatchObject([{ id: 'c1', state: 'failed' }]);
  });

  it('is not hidden by an object that is no commit', async () => {
    const vault = newVault();
    const { bank } = vault;
    await commitTo(vault, VOLUMES);
    await bank.put('acme/commits/README', Buffer.from('hello'), { ifAbsent: true, ...countingCall() });
    expect((await listed(vault)).filter(({ state }) => state === 'available')).toMatchObject([{ id: 'c1' }]);
  });

  it.each<[string, { tenant?: string; checkpoint?: string; plan?: string }]>([
    ['another tenant', { tenant: 'other' }],
    ['another checkpoint', { checkpoint: 'c9' }],
    ['another plan', { plan: 'p9' }],
  ])('never takes the commit of %s for the one whose key it has', async (_, { tenant = 'acme', ...ids }) => {
    const other = vaultOf(memoryBank({ name: 'other' }), parseTenantId(tenant));
    const { id, plan } = await commitTo(other, VOLUMES, ids);
    const key = bankKeys.commit(other.tenant, id, plan.id);
    const vault = newVault();
    // Sealed under the wrong name by one who holds the keys.
    await vault.put('acme/commits/c1=p1', await other.get(key, 1e6, countingCall()), countingCall());
    await expect(findCommit(vault, C1, countingCall())).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await listed(vault)).toMatchObject([{ id: 'c1', state: 'failed' }]);
  });
});

describe('what a checkpoint consists of', () => {
  it('is refused when it is stored, not when it is needed, where it does not fit the format', async () => {
    const vault = newVault();
    const artifacts = [artifactOf('v1', { takenAt: '2026-01-01T00:00:00+00:00' })];
    const stored = putArtifacts(vault, C1, { artifacts, missing: [] }, countingCall());
    await expect(
      stored.then((pointer) => getArtifacts(vault, C1, pointer, countingCall())),
    ).rejects.toBeDefined();
    await expect(stored).rejects.toBeDefined();
  });

  it('reads back as it was stored', async () => {
    const vault = newVault();
    const key = { type: 'T', id: 'x' };
    const error = { code: 'UNAVAILABLE', message: 'away', retryable: true, hint: 'wait' };
    const contents = {
      artifacts: VOLUMES.map((id) => artifactOf(id)),
      missing: [{ resource: key, cause: key, error }],
    };
    const pointer = await putArtifacts(vault, C1, contents, countingCall());
    expect(await getArtifacts(vault, C1, pointer, countingCall())).toEqual(contents);
    const resources = [{ type: 'T', id: 'ü\u0000"', name: '', attributes: { deep: [{ a: null }] } }];
    const graph = { resources, edges: { from: [], to: [] } };
    const where = await putGraph(vault, C1, graph, countingCall());
    expect(await getGraph(vault, C1, where, countingCall())).toMatchObject({ resources });
  });

  it('is CORRUPT where an edge of the graph points nowhere', async () => {
    const vault = newVault();
    const where = await putGraph(vault, C1, { resources: [], edges: { from: [0], to: [0] } }, countingCall());
    await expect(getGraph(vault, C1, where, countingCall())).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('has keys that every bank allows, for the longest ids too', () => {
    const id = 'x'.repeat(120);
    const [tenant, checkpoint, plan] = [parseTenantId(id), parseCheckpointId(id), parsePlanId(id)];
    const digest = 'a'.repeat(64);
    const keys = [
      bankKeys.commit(tenant, checkpoint, plan),
      bankKeys.removed(tenant, checkpoint),
      `${bankKeys.addenda(tenant, checkpoint)}copy-removed.${digest.slice(0, 32)}`,
      bankKeys.graph(tenant, checkpoint, digest),
      bankKeys.artifacts(tenant, checkpoint, digest),
      bankKeys.manifest(tenant, `faf-${digest.slice(0, 40)}`, digest),
      bankKeys.pack(tenant, digest.slice(0, 32)),
      `${bankKeys.index(tenant, `faf-${digest.slice(0, 40)}`)}${digest.slice(0, 32)}`,
      `${bankKeys.damage(tenant)}${digest.slice(0, 32)}`,
      `${bankKeys.proofs(tenant)}faf-${digest.slice(0, 40)}/${digest.slice(0, 32)}`,
    ];
    expect(keys.filter((key) => !isBankKey(key))).toEqual([]);
  });
});
