import assert from 'node:assert/strict';
import { creating, holds, listed, live, type Obligation, put, refuses, text, whole } from './obligation.ts';

/** How objects come to be. */
export const CREATION: readonly Obligation[] = [
  {
    name: 'leaves an existing object alone with ifAbsent',
    needs: 'best-effort',
    async run(bank) {
      assert.equal(await bank.put('object', text('first'), creating), 'created');
      assert.equal(await bank.put('object', text('second, longer'), creating), 'exists');
      assert.equal(await bank.put('object', text('first'), creating), 'exists');
      await holds(bank, 'object', 'first');
    },
  },
  {
    name: 'creates with ifAbsent what was removed',
    needs: 'best-effort',
    async run(bank) {
      await put(bank, 'object');
      await bank.remove(['object'], live);
      assert.equal(await bank.put('object', text('second'), creating), 'created');
      await holds(bank, 'object', 'second');
    },
  },
  {
    name: 'lets one of many concurrent puts with ifAbsent create the object',
    needs: 'atomic',
    async run(bank) {
      for (const key of ['race/1', 'race/2', 'race/3']) {
        const bodies = Array.from({ length: 32 }, (_, index) => `${key} of ${index}`);
        const outcomes = await Promise.all(bodies.map((body) => bank.put(key, text(body), creating)));
        const winners = bodies.filter((_, index) => outcomes[index] === 'created');
        assert.equal(winners.length, 1);
        assert.equal(outcomes.filter((outcome) => outcome === 'exists').length, bodies.length - 1);
        await holds(bank, key, winners[0] ?? '');
      }
    },
  },
  {
    name: 'lets puts to different keys run beside each other',
    async run(bank) {
      const keys = Array.from({ length: 50 }, (_, index) => `new-${index % 5}/folder/${index}`);
      await Promise.all(keys.map((key) => bank.put(key, text(key), creating)));
      for (const key of keys) await holds(bank, key, key);
    },
  },
];

/** How objects go. */
export const REMOVAL: readonly Obligation[] = [
  {
    name: 'removes what it is told and nothing else',
    async run(bank) {
      await put(bank, 'a/b', 'a/bc', 'a/c', 'd');
      await bank.remove(['a/b', 'd'], live);
      assert.deepEqual(await listed(bank), ['a/bc', 'a/c']);
      await refuses(() => bank.get('a/b', whole, live), 'NOT_FOUND');
      assert.equal(await bank.head('d', live), undefined);
    },
  },
  {
    name: 'removes without complaint what is not there',
    async run(bank) {
      await bank.remove(['never/was'], live);
      await put(bank, 'object', 'other');
      await bank.remove([], live);
      await bank.remove(['absent', 'object', 'object', 'other/below'], live);
      await bank.remove(['object'], live);
      assert.deepEqual(await listed(bank), ['other']);
    },
  },
  {
    name: 'removes no folder',
    async run(bank) {
      await put(bank, 'folder/object');
      await bank.remove(['folder'], live);
      await holds(bank, 'folder/object', 'folder/object');
    },
  },
];
