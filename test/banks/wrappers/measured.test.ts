import { expect, test } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { type BankCalled, type MeasuredOptions, measured } from '../../../src/banks/wrappers/measured.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { FafnirError, type Observer } from '../../../src/index.ts';
import { bytes, creating, fill, keys, live, read, whole } from './calls.ts';
import { flakyBank, unavailable } from './flaky-bank.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A measured bank each of whose calls takes 5 milliseconds. */
function measuring(faults: Parameters<typeof flakyBank>[0] = () => undefined) {
  const clock = new VirtualClock();
  const sound = memoryBank({ name: 'memory' });
  const slow = flakyBank((when, what) => {
    if (when === 'before') clock.advance(5);
    return faults(when, what);
  }, sound);
  const told: BankCalled[] = [];
  const channels = new Set<string>();
  const observer: Observer = {
    publish(channel, message) {
      channels.add(channel);
      told.push(message as BankCalled);
    },
  };
  return { bank: measured(slow, observer, { clock }), clock, sound, told, channels };
}

const told = (
  operation: BankCalled['operation'],
  objects: number,
  size: number,
  error: BankCalled['error'] = null,
): BankCalled => ({ bank: 'memory', operation, milliseconds: 5, objects, bytes: size, error });

test('tells of each call what it did, how long it took and how many bytes it moved', async () => {
  const { bank, told: messages, channels } = measuring();
  await bank.put('key', [bytes('ab'), bytes('cde')], creating);
  await bank.put('key', bytes('again'), creating);
  expect(await read(bank, 'key')).toBe('abcde');
  await bank.get('key', { offset: 1, length: 2 }, live);
  await bank.head('key', live);
  await bank.head('absent', live);
  await bank.remove(['key', 'absent'], live);
  expect(messages).toEqual([
    told('put', 1, 5),
    told('put', 0, 0),
    told('get', 1, 5),
    told('get', 1, 2),
    told('head', 1, 0),
    told('head', 0, 0),
    told('remove', 2, 0),
  ]);
  expect([...channels]).toEqual(['bank.called']);
});

test('tells of a failed call its code, and lets its error through', async () => {
  const error = unavailable();
  const { bank, told: messages } = measuring((when) => (when === 'before' ? error : undefined));
  await expect(bank.put('key', bytes('body'), creating)).rejects.toBe(error);
  await expect(bank.get('key', whole, live)).rejects.toBe(error);
  await expect(bank.head('key', live)).rejects.toBe(error);
  await expect(keys(bank)).rejects.toBe(error);
  await expect(bank.remove(['key'], live)).rejects.toBe(error);
  const operations = ['put', 'get', 'head', 'list', 'remove'] as const;
  expect(messages).toEqual(operations.map((operation) => told(operation, 0, 0, 'UNAVAILABLE')));
});

test.each([
  [new Error('gone'), 'CANCELLED'],
  [new FafnirError('UNAVAILABLE', 'took too long'), 'UNAVAILABLE'],
] as const)('an abort for %s counts as %s', async (reason, code) => {
  const { bank, told: messages } = measuring();
  await expect(bank.head('key', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(messages).toEqual([told('head', 0, 0, code)]);
});

test('an error that is not ours counts as the bank’s fault', async () => {
  const { bank, told: messages } = measuring(() => new TypeError('oops'));
  await expect(bank.head('key', live)).rejects.toThrow('oops');
  expect(messages).toEqual([told('head', 0, 0, 'PLUGIN_FAILED')]);
});

test('a list is one call, however it ends, and its reader’s time is not the bank’s', async () => {
  const { bank, clock, sound, told: messages } = measuring();
  await fill(sound, 'a', 'b', 'c');
  for await (const _ of bank.list('', live)) clock.advance(1_000);
  for await (const { key } of bank.list('', live)) if (key === 'b') break;
  const reading = async (): Promise<void> => {
    for await (const _ of bank.list('', live)) throw new Error('the reader failed');
  };
  await expect(reading()).rejects.toThrow('the reader failed');
  // It takes a step to begin and one past each object.
  expect(messages).toEqual([
    { ...told('list', 3, 0), milliseconds: 20 },
    { ...told('list', 2, 0), milliseconds: 10 },
    told('list', 1, 0),
  ]);
});

test('a list that is left lets go of the bank', async () => {
  const sound = memoryBank({ name: 'memory' });
  await fill(sound, 'a', 'b');
  let left = 0;
  const watched = wrap(sound, {
    async *list(prefix, call) {
      try {
        yield* sound.list(prefix, call);
      } finally {
        left += 1;
      }
    },
  });
  const silent: Observer = { publish: () => undefined };
  for await (const _ of measured(watched, silent).list('', live)) break;
  expect(left).toBe(1);
});

test('what is told holds no key', async () => {
  const { bank, told: messages } = measuring();
  await fill(bank, 'acme/secret');
  await keys(bank, 'acme/');
  await bank.get('acme/absent', whole, live).catch(() => undefined);
  expect(messages).toHaveLength(3);
  expect(JSON.stringify(messages)).not.toMatch(/acme|secret/);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('observer');
    },
  ],
  ['rejects', () => Promise.reject(new Error('observer'))],
])('an observer that %s changes nothing', async (_how, publish) => {
  const bank = measured(memoryBank({ name: 'memory' }), { publish });
  expect(await bank.put('key', bytes('body'), creating)).toBe('created');
  expect(await keys(bank)).toEqual(['key']);
  await expect(bank.get('absent', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('options are checked', () => {
  const options = { clocks: 1 } as MeasuredOptions;
  expect(() => measured(memoryBank({ name: 'memory' }), { publish: () => undefined }, options)).toThrow(
    /measured: /,
  );
});
