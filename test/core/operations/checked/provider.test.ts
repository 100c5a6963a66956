import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { checkedProvider } from '../../../../src/core/operations/checked/provider.ts';
import type { KeyProvider, Protectable, Quiescing } from '../../../../src/index.ts';
import { defineProvider } from '../../../../src/index.ts';
import { KEYS } from '../../archive/vaults.ts';
import { failure } from '../../engine/world.ts';

const call = { signal: new AbortController().signal };
const KEY = { type: 'Test::Thing', id: 'one' };
const TOKEN = { token: '0'.repeat(32) };
const refuse = (): Promise<never> => Promise.reject(new Error('not asked for'));

/** A provider with one plugin, which answers so. */
function providerOf(protectable: object, keys: KeyProvider = KEYS) {
  const plugin: Protectable = {
    contract: 1,
    type: KEY.type,
    list: async function* () {
      yield* [];
    },
    find: refuse,
    dependencies: refuse,
    capture: refuse,
    create: refuse,
    connect: refuse,
    remove: refuse,
    ...protectable,
  };
  const banks = [{ bank: memoryBank({ name: 'bank' }), keys, role: 'primary' as const }];
  const parts = [{ contract: 1 as const, name: 'test', protectables: [plugin] }];
  return defineProvider({ name: 'gold', site: 'a', parts, banks });
}

const checked = (protectable: object): Protectable =>
  checkedProvider(providerOf(protectable)).protectables.get(KEY.type) ?? expect.fail();

const answering = (answer: unknown) => async () => answer;

describe('a checked Protectable', () => {
  it('is the same one for the same provider', () => {
    const provider = providerOf({});
    expect(checkedProvider(provider)).toBe(checkedProvider(provider));
  });

  it.each<[string, string, object, (plugin: Protectable) => unknown]>([
    ['a description that is no object', 'capture', [], (one) => one.capture(KEY, call)],
    ['a description with a date', 'capture', { at: new Date() }, (one) => one.capture(KEY, call)],
    ['a large description', 'capture', { a: 'x'.repeat(300_000) }, (one) => one.capture(KEY, call)],
    [
      'a resource of another type',
      'create',
      { type: 'Other::Thing', id: '1', name: '', attributes: {} },
      (one) => one.create({}, TOKEN, call),
    ],
    ['no resource', 'create', {}, (one) => one.create({}, TOKEN, call)],
    ['volumes that are none', 'volumes', [{ array: 'a', id: '1' }], (one) => one.volumes?.(KEY, call)],
    [
      'volumes of less than nothing',
      'volumes',
      [{ array: 'a', id: '1', size: -1 }],
      (one) => one.volumes?.(KEY, call),
    ],
  ])('that answers with %s is refused', async (_, method, answer, ask) => {
    const error = await failure(() => ask(checked({ [method]: answering(answer) })));
    expect(error.code).toBe('WRONG_ANSWER');
    expect(error.message).toContain('the plugin for Test::Thing broke its contract');
  });

  it('that answers a pause with something else is refused', async () => {
    const quiescing = { quiesce: answering('paused'), unquiesce: refuse } as unknown as Quiescing;
    const pause = { ...TOKEN, deadline: 1 };
    const error = await failure(() => checked({ quiescing }).quiescing?.quiesce(KEY, pause, call));
    expect(error).toMatchObject({
      code: 'WRONG_ANSWER',
      message: expect.stringContaining('the pause of one'),
    });
  });

  it('has the roles that the plugin has, and no others', async () => {
    const description = { a: [1, 'b', null, { c: true }] };
    const plain = checked({ capture: answering(description) });
    expect(await plain.capture(KEY, call)).toEqual(description);
    expect([plain.volumes, plain.quiescing, plain.groupsVolumes]).toEqual([undefined, undefined, undefined]);
    const volumes = [{ array: 'a', id: '1', size: 0 }];
    expect(await checked({ volumes: answering(volumes) }).volumes?.(KEY, call)).toEqual(volumes);
  });
});

describe('a checked key provider', () => {
  it.each<[keyof KeyProvider, unknown]>([
    ['current', 'Not A Name'],
    ['current', undefined],
    ['wrap', { by: 'kek', bytes: 'not base64' }],
    ['wrap', { by: '', bytes: 'AAAA' }],
    ['wrap', null],
    ['unwrap', 'a text'],
    ['unwrap', new Uint8Array(0)],
    ['unwrap', new Uint8Array(300)],
  ])('whose %s answers with %j is refused', async (method, answer) => {
    const { keys } = checkedProvider(providerOf({}, { ...KEYS, [method]: answering(answer) }));
    const asked = {
      contract: async () => undefined,
      current: () => keys.current(call),
      wrap: () => keys.wrap(new Uint8Array(32), 'context', call),
      unwrap: () => keys.unwrap({ by: 'kek', bytes: 'AAAA' }, 'context', call),
    };
    const error = await failure(asked[method]);
    expect(error).toMatchObject({
      code: 'WRONG_ANSWER',
      message: expect.stringMatching(/^the key provider/),
    });
  });
});
