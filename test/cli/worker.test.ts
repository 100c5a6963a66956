import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { createEngine, defineProvider } from '../../src/index.ts';
import { local } from '../../src/providers/local.ts';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import { KEYS } from '../core/archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from '../core/engine/application.ts';

const root = join(import.meta.dirname, '../..');
const CONFIGURATION = join(import.meta.dirname, 'fixtures/configuration.ts');

type Told = { readonly type: string; readonly [fact: string]: unknown };

/** The command line as a process, and what it prints as it comes. */
function start(directory: string, ...words: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [join(root, 'src/cli/main.ts'), ...words], {
    env: { ...process.env, FAFNIR_TEST_DIRECTORY: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  const closed = once(child, 'close');
  if (child.stdout === null) throw new Error('the child has no output');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    next: async (): Promise<Told> => JSON.parse((await lines.next()).value ?? '{"type":"nothing"}'),
    ended: async () => ({ code: (await closed)[0], errors }),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

describe.skipIf(!existsSync(join(root, 'dist')))('fafnir worker (needs "npm run build")', () => {
  it('runs what others ask for, and at SIGTERM ends what it has begun', async () => {
    await using directory = await temporaryDirectory();
    await writeShop(join(directory.path, 'a'));
    await using worker = start(directory.path, 'worker', CONFIGURATION);
    expect(await worker.next()).toEqual({ type: 'worker.started' });
    const banks = [
      { bank: filesystemBank(join(directory.path, 'bank')), keys: KEYS, role: 'primary' as const },
    ];
    const parts = [local({ root: join(directory.path, 'a') })];
    await using asking = await createEngine({
      store: sqliteStore(join(directory.path, 'fafnir.db')),
      providers: [defineProvider({ name: 'gold', site: 'a', parts, banks })],
      worker: false,
    });
    const session = asking.for({ tenant: 'acme', actor: 'frontend' });
    const plan = await session.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const job = await session.protect(plan.id);
    expect(await worker.next()).toMatchObject({ type: 'job.started', job: job.id });
    worker.child.kill('SIGTERM');
    expect(await worker.next()).toEqual({ type: 'worker.draining' });
    expect(await worker.next()).toMatchObject({
      type: 'job.ended',
      job: job.id,
      outcome: { state: 'succeeded' },
    });
    expect(await worker.next()).toEqual({ type: 'worker.ended' });
    expect(await worker.ended()).toEqual({ code: 0, errors: '' });
    expect((await job.result()).checkpoint).toBeDefined();
  });

  it('says what is wrong about its configuration', async () => {
    await using worker = start('', 'worker', join(import.meta.dirname, 'fixtures/none.ts'));
    expect(await worker.next()).toMatchObject({
      type: 'worker.failed',
      error: { code: 'INVALID_OPTIONS', message: expect.stringContaining('none.ts') },
    });
    expect((await worker.ended()).code).toBe(1);
  });

  it.each([[[]], [['worker']], [['something', CONFIGURATION]]])(
    'tells how to use it given %j',
    async (words) => {
      await using worker = start('', ...words);
      expect(await worker.ended()).toEqual({
        code: 2,
        errors: expect.stringContaining('usage: fafnir worker'),
      });
    },
  );
});
