import { expect, test } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { prefixed } from '../../../src/banks/wrappers/prefixed.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { bytes, creating, fill, keys, live, read, replacing, whole } from './calls.ts';

const PREFIX = 'backups/eu';
const NEIGHBOURS = ['backups', 'backups-eu/a', 'backups/eu-2/a', 'backups/eu0', 'backups/eu2/a', 'other/a'];

async function shared() {
  const bank = memoryBank({ name: 'shared' });
  await fill(bank, ...NEIGHBOURS, 'backups/eu/mine');
  return { bank, mine: prefixed(bank, PREFIX) };
}

test('has the bank’s name and facts, told apart by the prefix', async () => {
  const { bank, mine } = await shared();
  expect(mine.name).toBe('shared/backups/eu');
  expect(mine.capabilities).toBe(bank.capabilities);
});

test('sees what lies below the prefix and nothing else', async () => {
  const { mine } = await shared();
  expect(await keys(mine)).toEqual(['mine']);
  for (const prefix of ['m', 'mine', 'mine/', '-2', '0', 'backups']) {
    expect(await keys(mine, prefix)).toEqual('mine'.startsWith(prefix) ? ['mine'] : []);
  }
  for (const after of ['', '0', 'c', 'mine', 'z', '-', '/', '../eu0']) {
    expect(await keys(mine, '', after)).toEqual('mine' > after ? ['mine'] : []);
  }
});

test.each(['../eu0', '..', '../../other/a', '/other/a', './mine', '', 'a//b', 'a/../../../other/a'])(
  'cannot be led out by %j',
  async (key) => {
    // Takes any key, so that it is the prefix that keeps to its folder.
    const asked: string[] = [];
    const ask = (below: string): never => {
      asked.push(below);
      throw new Error('asked');
    };
    const mine = prefixed(
      wrap(memoryBank({ name: 'lax' }), {
        put: async (below) => ask(below),
        get: async (below) => ask(below),
        head: async (below) => ask(below),
        list: (below) => ask(below),
        remove: async (all) => ask(all.join()),
      }),
      PREFIX,
    );
    const refused = { code: 'INVALID_KEY', message: expect.stringContaining('not a bank') };
    await expect(mine.put(key, bytes('x'), creating)).rejects.toMatchObject(refused);
    await expect(mine.put(key, bytes('x'), replacing)).rejects.toMatchObject(refused);
    await expect(mine.get(key, whole, live)).rejects.toMatchObject(refused);
    await expect(mine.head(key, live)).rejects.toMatchObject(refused);
    await expect(mine.remove(['mine', key], live)).rejects.toMatchObject(refused);
    if (key !== '') await expect(keys(mine, `${key}/`)).rejects.toMatchObject(refused);
    expect(asked).toEqual([]);
  },
);

test('writes and removes below the prefix only', async () => {
  const { bank, mine } = await shared();
  await fill(mine, 'other/a', 'new');
  await mine.remove([...NEIGHBOURS, 'mine'], live);
  expect(await keys(bank)).toEqual([...NEIGHBOURS, 'backups/eu/new'].sort());
  expect(await read(bank, 'other/a')).toBe('other/a');
});

test('takes keys up to what the prefix leaves of 512 characters, of any form', async () => {
  const { bank, mine } = await shared();
  const left = 512 - PREFIX.length - 1;
  const longest = `${'l'.repeat(200)}/${'m'.repeat(200)}/${'n'.repeat(left - 402)}`;
  const names = ['...', '-=_.', `deep/${'d/'.repeat(200)}end`, longest];
  await fill(mine, ...names);
  expect(await keys(mine)).toEqual([...names, 'mine'].sort());
  expect(await read(mine, longest)).toBe(longest);
  await expect(mine.put(`${longest}n`, bytes('x'), creating)).rejects.toMatchObject({
    code: 'INVALID_KEY',
    message: expect.stringContaining('too long'),
  });
  await expect(mine.remove(['mine', `${longest}n`], live)).rejects.toMatchObject({ code: 'INVALID_KEY' });
  expect(await keys(bank, 'backups/eu/mine')).toHaveLength(1);
});

test('tells of no key of others, even if the bank below answers with one', async () => {
  const { bank } = await shared();
  const leaky = wrap(bank, {
    list: (_prefix, call) => bank.list('', call),
    head: (_key, call) => bank.head('other/a', call),
  });
  const mine = prefixed(leaky, PREFIX);
  await expect(keys(mine)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  await expect(mine.head('mine', live)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
});

test('prefixes stack', async () => {
  const { bank } = await shared();
  await fill(prefixed(prefixed(bank, 'backups'), 'eu'), 'deep');
  expect(await keys(prefixed(bank, PREFIX))).toEqual(['deep', 'mine']);
});

test.each(['', '/', 'a/', '/a', '..', 'a/../b', 'a b', 'a'.repeat(129)])('%j is no prefix', (prefix) => {
  expect(() => prefixed(memoryBank({ name: 'memory' }), prefix)).toThrow(/prefixed: /);
});
