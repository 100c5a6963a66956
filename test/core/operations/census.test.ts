import { expect, it } from 'vitest';
import { parseJobId } from '../../../src/core/identity.ts';
import { Census } from '../../../src/core/operations/census.ts';
import { effectName, installationIn } from '../../../src/core/operations/tokens.ts';
import { ACME } from '../archive/volumes.ts';

const call = { signal: new AbortController().signal };

/** The census of what has these names and volumes, listed in this order. */
function censusOf(...listed: readonly (readonly [string, string])[]): Promise<Census> {
  async function* list() {
    for (const [name, volume] of listed) yield { name, volume };
  }
  return Census.take(list(), call);
}

it('a name stands for all volumes of it and for no other name, a name and a volume for one', async () => {
  const census = await censusOf(
    ['faf-b', 'x'],
    ['faf-a', 'y'],
    ['faf-a', 'x/z'],
    ['faf-a-', 'x'],
    ['faf-', 'x'],
  );
  census.claimForJob('faf-a');
  expect(census.claimForCheckpoint({ name: 'faf-b', volume: 'x' })).toBe(true);
  expect(census.claimForCheckpoint({ name: 'faf-b', volume: 'y' })).toBe(false);
  expect(census.claimForCheckpoint({ name: 'faf-c', volume: 'x' })).toBe(false);
  expect(census.claimForCheckpoint({ name: 'faf-a', volume: 'x/z' })).toBe(true);
  expect(['job', 'checkpoint', 'nobody'].map((by) => census.count(by as 'job'))).toEqual([2, 1, 2]);
  expect([...census.unclaimed()]).toEqual([
    { name: 'faf-', volume: 'x' },
    { name: 'faf-a-', volume: 'x' },
  ]);
});

it('what does not begin as our names do is not looked at, whatever is listed', async () => {
  const census = await censusOf(['nightly', 'x'], ['FAF-a', 'x']);
  expect([...census.unclaimed()]).toEqual([]);
  expect(census.claimForCheckpoint({ name: 'nightly', volume: 'x' })).toBe(false);
});

it('the name of an effect has 44 characters, and tells its installation', () => {
  const job = { tenant: ACME, id: parseJobId('job-1') };
  const name = effectName('0123456789ab', job, 'snapshot/a');
  expect(name).toMatch(/^[a-z0-9-]{44}$/);
  expect(installationIn(name)).toBe('0123456789ab');
  const others = [
    effectName('0123456789ac', job, 'snapshot/a'),
    effectName('0123456789ab', job, 'snapshot/b'),
    effectName('0123456789ab', { ...job, id: parseJobId('job-2') }, 'snapshot/a'),
  ];
  expect(new Set([name, ...others]).size).toBe(4);
  for (const odd of [`${name}0`, name.toUpperCase(), name.slice(0, -1), `x${name}`])
    expect(installationIn(odd)).toBeNull();
});
