import { zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { bankKeys } from '../../../src/core/archive/keys.ts';
import { putRecord } from '../../../src/core/archive/records.ts';
import {
  getGraph,
  graphDigest,
  putGraph,
  type ReadGraph,
  type StoredGraph,
} from '../../../src/core/archive/stored-graph.ts';
import type { Bank, Resource } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { parseCheckpointId } from '../../../src/core/identity.ts';
import { vaultOf } from './vaults.ts';
import { ACME, bankWith, countingCall, keysOf } from './volumes.ts';

const C1 = parseCheckpointId('c1');
const GRAPHS = 'acme/graphs/';

const resourceOf = (id: string, change: object = {}): Resource => ({
  type: 'T',
  id,
  name: `name of ${id}`,
  attributes: {},
  ...change,
});
const error = { code: 'UNAVAILABLE', message: 'no answer', retryable: true, hint: 'wait' };

/** Three resources, the first of which depends on both others. */
const SMALL = {
  resources: ['a', 'b', 'c'].map((id) => resourceOf(id)),
  edges: { from: [0, 0, 1], to: [1, 2, 2] },
  excluded: [{ type: 'T', id: 'x' }],
  incomplete: [{ resource: { type: 'T', id: 'b' }, error }],
} satisfies StoredGraph;

/** So many that each part needs several segments. */
const LARGE: StoredGraph = {
  resources: Array.from({ length: 20_000 }, (_, at) => resourceOf(String(at).padStart(7, '0'))),
  edges: {
    from: Uint32Array.from({ length: 300_000 }, (_, edge) =>
      edge < 19_999 ? 0 : 1 + Math.floor((edge - 19_999) / 15),
    ),
    to: Uint32Array.from({ length: 300_000 }, (_, edge) =>
      edge < 19_999 ? edge + 1 : 1_000 + ((edge - 19_999) % 15),
    ),
  },
};

const plain = (graph: StoredGraph): object => ({
  resources: graph.resources,
  edges: { from: [...Array.from(graph.edges.from)], to: [...Array.from(graph.edges.to)] },
  excluded: graph.excluded ?? [],
  incomplete: graph.incomplete ?? [],
});

async function stored(graph: StoredGraph, bank: Bank = memoryBank({ name: 'bank' })): Promise<ReadGraph> {
  const vault = vaultOf(bank);
  return getGraph(vault, C1, await putGraph(vault, C1, graph, countingCall()), countingCall());
}

describe('a stored graph', () => {
  it('reads back as it was, with what was left out', async () => {
    expect(plain(await stored(SMALL))).toEqual(plain(SMALL));
  });

  it('reads back whatever its resources hold', async () => {
    const strings = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
    const resource = fc.record({
      type: strings,
      id: strings,
      name: fc.string({ unit: 'binary' }),
      attributes: fc
        .dictionary(strings, fc.jsonValue({ noUnicodeString: false }))
        .map((value) => JSON.parse(JSON.stringify(value))),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(resource, { selector: ({ type, id }) => JSON.stringify([type, id]) }),
        async (found) => {
          const resources = found.sort((a, b) =>
            a.type < b.type || (a.type === b.type && a.id < b.id) ? -1 : 1,
          );
          const graph = { resources, edges: { from: [], to: [] } };
          expect(plain(await stored(graph))).toEqual(plain(graph));
        },
      ),
    );
  });

  it('keeps tags, and nothing that a resource does not have', async () => {
    const resources = [resourceOf('a', { tags: { tier: 'gold' } }), resourceOf('b', { secret: 'x' })];
    const read = await stored({ resources, edges: { from: [], to: [] } });
    expect(read.resources).toEqual([resourceOf('a', { tags: { tier: 'gold' } }), resourceOf('b')]);
  });

  it('keeps attributes and tags of any name and depth', async () => {
    const depth = 2_000;
    const attributes = JSON.parse(`${'{"a":'.repeat(depth)}{"__proto__":1}${'}'.repeat(depth)}`);
    const tags = JSON.parse('{"__proto__":"x","b":"c"}');
    const read = await stored({
      resources: [resourceOf('a', { attributes, tags })],
      edges: { from: [], to: [] },
    });
    expect(JSON.stringify(read.resources[0]?.attributes)).toBe(JSON.stringify(attributes));
    expect(Object.entries(read.resources[0]?.tags ?? {})).toEqual([
      ['__proto__', 'x'],
      ['b', 'c'],
    ]);
  });

  it.each([[{ a: 1n }], [JSON.parse(`${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`)]])(
    'is refused where attributes cannot be stored: number %#',
    async (attributes) => {
      const graph = { resources: [resourceOf('a', { attributes })], edges: { from: [], to: [] } };
      await expect(stored(graph)).rejects.toMatchObject({
        code: 'WRONG_ANSWER',
        message: expect.stringContaining('of a'),
      });
    },
  );

  it('lies in segments of bounded size, which its index names', async () => {
    const bank = memoryBank({ name: 'bank' });
    expect(plain(await stored(LARGE, bank))).toEqual(plain(LARGE));
    const sizes: number[] = [];
    for (const key of await keysOf(bank, GRAPHS)) {
      const content = await vaultOf(bank).get(key, 2 ** 26, countingCall());
      sizes.push(zstdDecompressSync(content).length);
    }
    expect(sizes.length).toBeGreaterThan(4);
    expect(Math.max(...sizes)).toBeLessThan(1.1 * 2 ** 20);
  });

  it('needs its index last, so that what it names is there', async () => {
    const order: string[] = [];
    const bank = bankWith((sound) => ({
      put: (key, body, options) => {
        order.push(key);
        return sound.put(key, body, options);
      },
    }));
    const { digest } = await putGraph(vaultOf(bank), C1, LARGE, countingCall());
    expect(order.at(-1)).toBe(bankKeys.graph(ACME, C1, digest));
  });

  it('has the digest that tells it from others', () => {
    const digest = graphDigest(SMALL);
    const columns = { from: Uint32Array.from(SMALL.edges.from), to: Uint32Array.from(SMALL.edges.to) };
    expect(graphDigest({ ...SMALL, edges: columns })).toBe(digest);
    const others: StoredGraph[] = [
      { ...SMALL, edges: { from: [0, 0], to: [1, 2] } },
      { ...SMALL, resources: SMALL.resources.map((one) => ({ ...one, name: 'other' })) },
      { ...SMALL, excluded: [] },
      { ...SMALL, incomplete: [] },
    ];
    expect(new Set([digest, ...others.map(graphDigest)]).size).toBe(5);
  });

  it('has the same digest whatever the reasons for what is incomplete', () => {
    const reasons = ['request 17 timed out', 'request 18 was refused', ''];
    const digests = reasons.map((message) => {
      const code = message === '' ? 'ACCESS_DENIED' : error.code;
      const incomplete = SMALL.incomplete.map((one) => ({ ...one, error: { ...error, code, message } }));
      return graphDigest({ ...SMALL, incomplete });
    });
    expect(new Set(digests).size).toBe(1);
    const elsewhere = SMALL.incomplete.map((one) => ({ ...one, resource: { type: 'T', id: 'a' } }));
    expect(digests).not.toContain(graphDigest({ ...SMALL, incomplete: elsewhere }));
  });

  it('is refused by an abort, without effect', async () => {
    const bank = memoryBank({ name: 'bank' });
    const reason = new Error('no longer wanted');
    const call = { signal: AbortSignal.abort(reason) };
    await expect(putGraph(vaultOf(bank), C1, LARGE, call)).rejects.toBe(reason);
    expect(await keysOf(bank, '')).toEqual([]);
  });
});

describe('a stored graph that somebody with the keys wrote anew', () => {
  type Rewrite = Partial<Record<'resources' | 'edges' | 'excluded' | 'incomplete', readonly unknown[]>>;

  /** Reads a graph like the small one, but with these entries and counts. */
  async function rewritten(
    entries: Rewrite,
    change: (index: Record<string, unknown>) => object = () => ({}),
  ): Promise<unknown> {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const put = (record: object): Promise<string> =>
      putRecord(vault, (digest) => bankKeys.graph(ACME, C1, digest), record, countingCall());
    const all = {
      resources: SMALL.resources,
      edges: [
        [0, 1, 2],
        [1, 2],
      ],
      excluded: SMALL.excluded,
      incomplete: SMALL.incomplete,
      ...entries,
    };
    const parts = await Promise.all(
      Object.entries(all).map(async ([part, list]) => {
        const segments = [await put({ format: 1, kind: `graph-${part}`, entries: list })];
        const count = part === 'edges' ? list.flat().length - list.length : list.length;
        return [part, { count, segments }] as const;
      }),
    );
    const index = { format: 1, kind: 'graph', ...Object.fromEntries(parts) };
    const digest = await put({ ...index, ...change(index) });
    return getGraph(vault, C1, { digest, count: all.resources.length }, countingCall());
  }

  it('would be read if it were sound', async () => {
    expect(plain((await rewritten({})) as ReadGraph)).toEqual(plain(SMALL));
  });

  const [a, b, c] = SMALL.resources;
  it.each<[string, Rewrite]>([
    ['resources out of order', { resources: [b, a, c] }],
    ['a resource twice', { resources: [a, b, b] }],
    ['a resource with an unknown field', { resources: [a, b, { ...c, extra: 1 }] }],
    ['a resource whose attributes are a list', { resources: [a, b, { ...c, attributes: [] }] }],
    ['a resource whose tag is a number', { resources: [a, b, { ...c, tags: { a: 1 } }] }],
    ['an edge from nowhere', { edges: [[3, 1]] }],
    ['an edge to nowhere', { edges: [[0, 3]] }],
    ['an edge to a fraction', { edges: [[0, 0.5]] }],
    ['an edge to before the first', { edges: [[0, -1]] }],
    ['an edge to text', { edges: [[0, '1']] }],
    ['edges out of order', { edges: [[0, 2, 1]] }],
    [
      'rows out of order',
      {
        edges: [
          [1, 2],
          [0, 1],
        ],
      },
    ],
    [
      'an edge twice',
      {
        edges: [
          [0, 1],
          [0, 1],
        ],
      },
    ],
    ['a row of nothing', { edges: [[0]] }],
    [
      'excluded keys out of order',
      {
        excluded: [
          { type: 'T', id: 'y' },
          { type: 'T', id: 'x' },
        ],
      },
    ],
    [
      'a reason too long',
      { incomplete: [{ resource: { type: 'T', id: 'b' }, error: { ...error, message: 'x'.repeat(2_000) } }] },
    ],
    ['a gap twice', { incomplete: [...SMALL.incomplete, ...SMALL.incomplete] }],
  ])('is CORRUPT with %s', async (_, entries) => {
    await expect(rewritten(entries)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each(['resources', 'edges', 'excluded', 'incomplete'] as const)(
    'is CORRUPT where the count of %s is another, or beyond all bounds',
    async (part) => {
      const counted = (change: (count: number) => number) =>
        rewritten({}, (index) => {
          const { count, segments } = index[part] as { count: number; segments: string[] };
          return { [part]: { count: change(count), segments } };
        });
      for (const change of [
        (n: number) => n - 1,
        (n: number) => n + 1,
        () => 2 ** 26,
        () => 2 ** 40,
        () => -1,
      ]) {
        await expect(counted(change)).rejects.toMatchObject({ code: 'CORRUPT' });
      }
    },
  );

  it.each(['resources', 'edges', 'excluded', 'incomplete'] as const)(
    'is CORRUPT where a segment of %s comes twice, or is of another part',
    async (part) => {
      const segmentsOf = (
        index: Record<string, unknown>,
        of: string,
      ): { count: number; segments: string[] } => index[of] as { count: number; segments: string[] };
      const twice = rewritten({}, (index) => {
        const { count, segments } = segmentsOf(index, part);
        return { [part]: { count: 2 * count, segments: [...segments, ...segments] } };
      });
      const counted = part === 'resources' ? /not as large/ : /not in order/;
      await expect(twice).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringMatching(counted) });
      const mixed = rewritten({}, (index) => ({
        [part]: {
          count: segmentsOf(index, part).count,
          segments: segmentsOf(index, part === 'edges' ? 'excluded' : 'edges').segments,
        },
      }));
      await expect(mixed).rejects.toMatchObject({ code: 'CORRUPT' });
    },
  );
});

describe('a stored graph that lost something', () => {
  it('is refused whichever segment is gone or damaged', async () => {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const pointer = await putGraph(vault, C1, LARGE, countingCall());
    for (const key of await keysOf(bank, GRAPHS)) {
      const whole = await bank.get(key, { limit: 2 ** 26 }, countingCall());
      await bank.remove([key], countingCall());
      await expect(getGraph(vault, C1, pointer, countingCall())).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      const cut = whole.subarray(0, whole.length - 1);
      await bank.put(key, cut, { ifAbsent: true, ...countingCall() });
      await expect(getGraph(vault, C1, pointer, countingCall())).rejects.toMatchObject({ code: 'CORRUPT' });
      await bank.put(key, whole, { ifAbsent: false, ...countingCall() });
    }
  });

  it('says so once, however many segments are out of reach', async () => {
    const unavailable = new FafnirError('UNAVAILABLE', 'no answer');
    const bank = bankWith((sound) => ({
      get: (key, read, call) =>
        key.startsWith(GRAPHS) && reads++ > 0 ? Promise.reject(unavailable) : sound.get(key, read, call),
    }));
    let reads = 0;
    const vault = vaultOf(bank);
    const pointer = await putGraph(vault, C1, LARGE, countingCall());
    await expect(getGraph(vault, C1, pointer, countingCall())).rejects.toBe(unavailable);
  });

  it('is not stored in part where the bank refuses', async () => {
    const full = new FafnirError('NO_SPACE', 'full');
    let puts = 0;
    const bank = bankWith((sound) => ({
      put: (key, body, options) => (puts++ > 2 ? Promise.reject(full) : sound.put(key, body, options)),
    }));
    await expect(putGraph(vaultOf(bank), C1, LARGE, countingCall())).rejects.toBe(full);
  });
});
