import assert from 'node:assert/strict';
import {
  connectionOf,
  describedBy,
  listedIds,
  live,
  makeAgain,
  refuses,
  requestFor,
  withToken,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

const MOST_WAYS = 64;
const BATCH = 1_000;

/** What a Protectable may have. */
export const ROLES: readonly Obligation[] = [
  {
    name: 'sees no gap where the original is, also for 1,000 at once, and makes nothing for that',
    needs: 'gaps',
    async run(fixture) {
      const before = await listedIds(fixture);
      const description = await describedBy(fixture, fixture.resource);
      const { names } = requestFor(fixture, '0'.repeat(32));
      const request = { description, address: (one: string) => one, ...(names && { names }) };
      for (const count of [0, 1, BATCH]) {
        const requests = Array.from({ length: count }, () => request);
        assert.deepEqual(await fixture.protectable.gaps?.(requests, live), []);
      }
      assert.deepEqual(await listedIds(fixture), before);
    },
  },
  {
    name: 'sees that one made again serves, twice, and changes nothing by that',
    needs: 'probe',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const { type, id } = await makeAgain(fixture, token);
        const request = await connectionOf(fixture, token);
        await fixture.protectable.probe?.({ type, id }, request, live);
        const [ids, description] = [await listedIds(fixture), await describedBy(fixture, { type, id })];
        await fixture.protectable.probe?.({ type, id }, request, live);
        assert.deepEqual(await listedIds(fixture), ids);
        assert.deepEqual(await describedBy(fixture, { type, id }), description);
      }),
  },
  {
    name: 'sees with NOT_FOUND that one is gone, and asks nothing for a caller who is',
    needs: 'probe',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const { protectable } = fixture;
        const { type, id } = await makeAgain(fixture, token);
        const request = await connectionOf(fixture, token);
        const reason = new Error('the caller is gone');
        const aborted = { signal: AbortSignal.abort(reason) };
        await assert.rejects(async () => protectable.probe?.({ type, id }, request, aborted), reason);
        await protectable.remove({ token }, live);
        await refuses('probe', () => protectable.probe?.({ type, id }, request, live), 'NOT_FOUND');
      }),
  },
  {
    name: 'tells the ways to its volume, with the size that one made again has too',
    needs: 'volumes',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const { protectable, resource } = fixture;
        const ways = (await protectable.volumes?.(resource, live)) ?? [];
        assert.ok(ways.length > 0 && ways.length <= MOST_WAYS, `${ways.length} ways`);
        const made = await makeAgain(fixture, token);
        const [again] = (await protectable.volumes?.({ type: made.type, id: made.id }, live)) ?? [];
        assert.equal(again?.size, ways[0]?.size);
        assert.ok(
          !ways.some(({ array, id }) => array === again?.array && id === again.id),
          'both have one volume',
        );
      }),
  },
];
