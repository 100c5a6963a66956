import assert from 'node:assert/strict';
import { CONTEXT, holds, keyOf, live, type RotationObligation, refuses } from './obligation.ts';

/** What a new key-encryption key changes, and what not. */
export const ROTATION: readonly RotationObligation[] = [
  {
    name: 'wraps under the new key-encryption key after a rotation',
    async run(provider, rotate) {
      const before = await provider.current(live);
      const rotated = await rotate();
      const wrapped = await rotated.wrap(keyOf(32), CONTEXT, live);
      assert.equal(wrapped.by, await rotated.current(live));
      assert.notEqual(wrapped.by, before);
      await holds(rotated, wrapped, CONTEXT, keyOf(32));
    },
  },
  {
    name: 'unwraps after two rotations what earlier key-encryption keys wrapped',
    async run(provider, rotate) {
      const first = await provider.wrap(keyOf(32, 1), CONTEXT, live);
      const second = await (await rotate()).wrap(keyOf(32, 2), CONTEXT, live);
      const rotated = await rotate();
      const third = await rotated.wrap(keyOf(32, 3), CONTEXT, live);
      await holds(rotated, first, CONTEXT, keyOf(32, 1));
      await holds(rotated, second, CONTEXT, keyOf(32, 2));
      await holds(rotated, third, CONTEXT, keyOf(32, 3));
      assert.equal(new Set([first.by, second.by, third.by]).size, 3);
    },
  },
  {
    name: 'refuses with CORRUPT what one key-encryption key wrapped under the name of another',
    async run(provider, rotate) {
      const former = await provider.wrap(keyOf(32), CONTEXT, live);
      const rotated = await rotate();
      const { by } = await rotated.wrap(keyOf(32), CONTEXT, live);
      await refuses('the other name', () => rotated.unwrap({ ...former, by }, CONTEXT, live), 'CORRUPT');
    },
  },
];
