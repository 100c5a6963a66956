import assert from 'node:assert/strict';
import {
  describedBy,
  join,
  listedIds,
  live,
  makeAgain,
  newToken,
  original,
  refuses,
  requestFor,
  sameness,
  withToken,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

const NO_DESCRIPTIONS = [{}, { name: 7 }, { name: { a: [] } }, { id: '../..', name: null }];

/** Making again, joining, and taking back. */
export const CREATION: readonly Obligation[] = [
  {
    name: 'makes one again that is found and described like the original, and leaves that alone',
    needs: 'creation',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const before = await listedIds(fixture);
        const description = await describedBy(fixture, fixture.resource);
        const made = await makeAgain(fixture, token);
        assert.notEqual(made.id, fixture.resource.id, 'the original is taken for the new one');
        assert.deepEqual(await listedIds(fixture), [...before, made.id].sort());
        const again = await describedBy(fixture, made);
        assert.deepEqual(sameness(fixture, again), sameness(fixture, description));
        assert.deepEqual(
          await describedBy(fixture, fixture.resource),
          description,
          'the original was changed',
        );
      }),
  },
  {
    name: 'finds by the token what was made before, and joins it twice',
    needs: 'creation',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const made = await makeAgain(fixture, token);
        const ids = await listedIds(fixture);
        const description = await describedBy(fixture, made);
        assert.equal((await makeAgain(fixture, token)).id, made.id);
        await join(fixture, made, token);
        assert.deepEqual(await listedIds(fixture), ids);
        assert.deepEqual(await describedBy(fixture, made), description);
      }),
  },
  {
    name: 'removes what the token made, twice, and neither the original nor what another token made',
    needs: 'creation',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const before = await listedIds(fixture);
        const kept = await makeAgain(fixture, token);
        await withToken(fixture, async (other) => {
          const made = await makeAgain(fixture, other);
          assert.notEqual(made.id, kept.id);
        });
        const left = [...before, kept.id].sort();
        assert.deepEqual(await listedIds(fixture), left);
        await fixture.protectable.remove({ token: newToken() }, live);
        assert.deepEqual(await listedIds(fixture), left);
        await fixture.protectable.remove({ token }, live);
        await fixture.protectable.remove({ token }, live);
        assert.deepEqual(await listedIds(fixture), before);
      }),
  },
  {
    name: 'removes what comes late, after a removal with its token',
    needs: 'creation',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const before = await listedIds(fixture);
        await makeAgain(fixture, token);
        await fixture.protectable.remove({ token }, live);
        await makeAgain(fixture, token);
        await fixture.protectable.remove({ token }, live);
        assert.deepEqual(await listedIds(fixture), before);
      }),
  },
  {
    name: 'refuses descriptions that do not fit with CORRUPT, before any effect',
    needs: 'creation',
    async run(fixture) {
      const before = await listedIds(fixture);
      for (const wrong of NO_DESCRIPTIONS) {
        const request = requestFor(fixture, newToken());
        const create = () => fixture.protectable.create(wrong, request, live);
        await refuses(JSON.stringify(wrong), create, 'CORRUPT');
      }
      assert.deepEqual(await listedIds(fixture), before);
    },
  },
  {
    name: 'makes nothing for a caller who is gone',
    needs: 'creation',
    async run(fixture) {
      const before = await listedIds(fixture);
      const description = await describedBy(fixture, fixture.resource);
      const reason = new Error('the caller is gone');
      const call = { signal: AbortSignal.abort(reason) };
      const create = () => fixture.protectable.create(description, requestFor(fixture, newToken()), call);
      await assert.rejects(create, reason);
      assert.deepEqual(await listedIds(fixture), before);
    },
  },
  {
    name: 'gives another name where it is told to',
    needs: 'renames',
    run: (fixture) =>
      withToken(fixture, async (token) => {
        const name = `${(await original(fixture)).name}-${token.slice(0, 8)}`;
        const made = await makeAgain(fixture, token, { name });
        const [found] = await fixture.protectable.find([made.id], live);
        assert.equal(found?.name, name);
      }),
  },
];
