import assert from 'node:assert/strict';
import type { Resource } from '../../core/contracts/index.ts';
import { describedBy, listedIds, live, NOBODY, original, refuses } from './helpers.ts';
import type { Obligation } from './obligation.ts';

const HOSTILE_IDS = [
  '',
  '.',
  '..',
  '../..',
  'a/b',
  'a?b#c',
  'a b',
  '%2e%2e%2f',
  '\0',
  '\u202e',
  'x'.repeat(2_000),
];
const BATCH = 1_000;
const LONGEST_DESCRIPTION = 256 * 1024;

/** What there is, what it is like, and what it depends on. */
export const FINDING: readonly Obligation[] = [
  {
    name: 'lists what there is, each once, of its own type',
    async run(fixture) {
      const found: Resource[] = [];
      for await (const one of fixture.protectable.list(live)) found.push(one);
      assert.ok(
        found.every(({ type }) => type === fixture.protectable.type),
        'a resource of another type is listed',
      );
      const ids = found.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, 'a resource is listed twice');
      assert.deepEqual(
        found.find(({ id }) => id === fixture.resource.id),
        await original(fixture),
        'a list and find tell otherwise of one resource',
      );
    },
  },
  {
    name: 'finds those ids that exist, and says nothing of others',
    async run({ protectable, resource }) {
      const found = await protectable.find([NOBODY, resource.id, ...HOSTILE_IDS], live);
      assert.deepEqual(
        found.map(({ type, id }) => ({ type, id })),
        [{ type: protectable.type, id: resource.id }],
      );
    },
  },
  {
    name: 'finds none of 1,000 ids that do not exist, and none of no ids',
    async run({ protectable }) {
      const ids = Array.from({ length: BATCH }, (_, at) => `${NOBODY}-${at}`);
      assert.deepEqual(await protectable.find(ids, live), []);
      assert.deepEqual(await protectable.find([], live), []);
    },
  },
  {
    name: 'describes a resource as JSON of at most 256 KiB, twice the same',
    async run(fixture) {
      const description = await describedBy(fixture, fixture.resource);
      const text = JSON.stringify(description);
      assert.ok(Buffer.byteLength(text) <= LONGEST_DESCRIPTION, 'it is too long');
      assert.deepEqual(JSON.parse(text), description, 'it does not survive as JSON');
      assert.deepEqual(await describedBy(fixture, fixture.resource), description);
    },
  },
  {
    name: 'refuses to describe what does not exist with NOT_FOUND',
    async run({ protectable }) {
      await refuses(
        'capture',
        () => protectable.capture({ type: protectable.type, id: NOBODY }, live),
        'NOT_FOUND',
      );
    },
  },
  {
    name: 'tells dependencies as existing resources, each once, and edges between those and the batch',
    async run(fixture) {
      const one = await original(fixture);
      const { resources, edges, failures } = await fixture.protectable.dependencies([one], live);
      assert.deepEqual([...failures], []);
      const keys = resources.map(({ type, id }) => JSON.stringify([type, id]));
      assert.equal(new Set(keys).size, keys.length, 'a target is told twice');
      const [from, to] = [Array.from(edges.from), Array.from(edges.to)];
      assert.equal(from.length, to.length, 'the columns of the edges differ in length');
      assert.ok(
        from.every((at) => at === 0),
        'an edge begins outside of the batch',
      );
      assert.deepEqual(
        [...new Set(to)].sort((a, b) => a - b),
        resources.map((_, at) => at),
        'edges lead outside of the targets, or a target has none',
      );
    },
  },
  {
    name: 'names with NOT_FOUND the resource of a batch that is gone, and answers for the others',
    async run(fixture) {
      const one = await original(fixture);
      const alone = await fixture.protectable.dependencies([one], live);
      const gone = { ...one, id: NOBODY };
      const { resources, edges, failures } = await fixture.protectable.dependencies([gone, one], live);
      assert.deepEqual(
        failures.map(({ at }) => at),
        [0],
      );
      for (const { error } of failures)
        await refuses('the failure', () => Promise.reject(error), 'NOT_FOUND');
      assert.equal(resources.length, alone.resources.length, 'the other one has other dependencies now');
      assert.ok(
        Array.from(edges.from).every((at) => at === 1),
        'what is gone has dependencies',
      );
    },
  },
  {
    name: 'does nothing for a caller who is gone',
    async run(fixture) {
      const { protectable, resource } = fixture;
      const reason = new Error('the caller is gone');
      const call = { signal: AbortSignal.abort(reason) };
      const one = await original(fixture);
      const before = await listedIds(fixture);
      const works: readonly (() => unknown)[] = [
        async () => {
          for await (const _ of protectable.list(call)) assert.fail('a resource is listed');
        },
        () => protectable.find([resource.id], call),
        () => protectable.dependencies([one], call),
        () => protectable.capture(resource, call),
        () => protectable.remove({ token: '0'.repeat(32) }, call),
      ];
      for (const work of works) await assert.rejects(async () => work(), reason);
      assert.deepEqual(await listedIds(fixture), before);
    },
  },
];
