import { expect, test } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { readOnly } from '../../../src/banks/wrappers/read-only.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { createEngine } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { openWorld, protect, providersIn } from '../../core/engine/world.ts';
import { bytes, creating, fill, keys, live, read, replacing } from './calls.ts';

test('reads and lists what is there', async () => {
  const bank = memoryBank({ name: 'memory' });
  await fill(bank, 'a', 'b');
  const view = readOnly(bank);
  expect(view).toMatchObject({ contract: 1, name: 'memory', capabilities: bank.capabilities });
  expect(await keys(view)).toEqual(['a', 'b']);
  expect(await keys(view, '', 'a')).toEqual(['b']);
  expect(await read(view, 'a')).toBe('a');
  expect(await view.head('b', live)).toEqual({ key: 'b', size: 1 });
});

test('refuses to put and to remove, by name, before the bank is asked', async () => {
  let asked = 0;
  const bank = memoryBank({ name: 'memory' });
  await fill(bank, 'a');
  const guarded = wrap(bank, {
    put: async () => {
      asked += 1;
      return 'created';
    },
    remove: async () => {
      asked += 1;
    },
  });
  const view = readOnly(guarded);
  const refused = { code: 'ACCESS_DENIED', retryable: false, message: expect.stringContaining('memory') };
  await expect(view.put('a', bytes('new'), creating)).rejects.toMatchObject(refused);
  await expect(view.put('b', bytes('new'), replacing)).rejects.toMatchObject(refused);
  await expect(view.remove(['a'], live)).rejects.toMatchObject(refused);
  await expect(view.remove([], live)).rejects.toMatchObject(refused);
  expect(asked).toBe(0);
});

test('tells of a bad key, and of a caller who is gone, as any bank does', async () => {
  const view = readOnly(memoryBank({ name: 'memory' }));
  const reason = new Error('gone');
  const call = { signal: AbortSignal.abort(reason) };
  await expect(view.put('../a', bytes('x'), creating)).rejects.toMatchObject({ code: 'INVALID_KEY' });
  await expect(view.remove(['a', ''], live)).rejects.toMatchObject({ code: 'INVALID_KEY' });
  await expect(view.put('a', bytes('x'), { ...call, ifAbsent: true })).rejects.toBe(reason);
  await expect(view.remove(['a'], call)).rejects.toBe(reason);
});

test('is enough to restore from: what could not be recorded is named, and a verify is refused', async () => {
  const bank = memoryBank({ name: 'memory' });
  await using world = await openWorld({ bank });
  const checkpoint = await protect(world);
  const providers = Object.values(providersIn(world.path, undefined, readOnly(bank)));
  await using engine = await createEngine({ store: memoryStore(), providers });
  const acme = engine.for({ tenant: 'acme', actor: 'reader' });
  const result = await (await acme.restore(checkpoint, { to: 'silver' })).result();
  expect(result).toMatchObject({ resources: 8, volumes: 3 });
  expect(result.leftovers?.map(({ error }) => error.code)).toEqual(Array(3).fill('ACCESS_DENIED'));
  const verifying = await acme.verify(checkpoint);
  await expect(verifying.result()).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
});
