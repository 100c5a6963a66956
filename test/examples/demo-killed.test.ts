import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { seededBytes, seededNumber } from '../../examples/demo/seeded.ts';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { createEngine, defineProvider } from '../../src/index.ts';
import { local } from '../../src/providers/local.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { temporaryDirectory } from '../core/engine/application.ts';
import { ensureBuilt } from './built.ts';
import { type Moment, runDemo } from './demo-process.ts';
import { keyFile } from '../../src/keys/file.ts';

// What the demo prints as it goes on, and how long it is busy after that with volumes of the test's size.
const PHASES: readonly (readonly [printed: string, milliseconds: number])[] = [
  ['making an application', 1000],
  ['protecting it', 500],
  ['protecting it', 500],
  ['changing 1 %', 600],
  ['losing site A', 500],
  ['losing site A', 500],
  ['verifying the checkpoint', 200],
  ['verify  ', 20],
];

const random = seededBytes('moments of death');
const MOMENTS: readonly Moment[] = [
  { printed: 'protecting it', milliseconds: 0 },
  { printed: 'losing site A', milliseconds: 0 },
  ...PHASES.map(([printed, within]) => ({ printed, milliseconds: seededNumber(random, within) })),
];

/** Opens what a demo left as a stranger would, without its store: verifies what is called available. */
async function verifyBank(directory: string): Promise<readonly string[]> {
  const bank = filesystemBank(join(directory, 'bank'));
  const keys = keyFile({ path: join(directory, 'keys.json') });
  const [siteA, siteB] = ['site-a', 'site-b'].map((name) =>
    defineProvider({
      name,
      site: name,
      parts: [local({ root: join(directory, name) })],
      banks: [{ bank, keys, role: 'primary' }],
    }),
  );
  if (siteA === undefined || siteB === undefined) throw new Error('there are two sites');
  await using engine = await createEngine({ store: memoryStore(), providers: [siteA, siteB] });
  const session = engine.for({ tenant: 'acme', actor: 'test' });
  const states: string[] = [];
  for await (const checkpoint of session.checkpoints.list()) {
    states.push(checkpoint.state);
    if (checkpoint.state !== 'available') continue;
    expect((await session.checkpoints.get(checkpoint.id)).artifacts).toHaveLength(12);
    const { bytes } = await (await session.verify(checkpoint.id)).result();
    expect(bytes).toBeGreaterThanOrEqual(6 * 8 * 1024 ** 2);
  }
  return states;
}

describe('a demo that is killed', () => {
  beforeAll(ensureBuilt);

  it('leaves nothing half-made, and can be run again', async () => {
    await using directory = await temporaryDirectory();
    let killed = 0;
    let available = 0;
    for (const moment of MOMENTS) {
      const { code, stderr } = await runDemo(directory.path, moment);
      // Exit code 1 would also say that what the demo before this one left does not verify.
      expect(code, stderr).toBeOneOf([null, 0]);
      if (code === null) killed += 1;
      const states = await verifyBank(directory.path);
      expect(states.filter((state) => state !== 'available' && state !== 'removed')).toEqual([]);
      available += states.filter((state) => state === 'available').length;
    }
    expect(killed).toBeGreaterThan(MOMENTS.length / 2);
    expect(available).toBeGreaterThan(0);

    const { code, stdout, stderr } = await runDemo(directory.path);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      /\npeak memory: .*\nrestored 11 resources, 6 volumes, 50331648 bytes: identical\n$/,
    );
  }, 300_000);
});
