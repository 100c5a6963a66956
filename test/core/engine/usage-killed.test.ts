import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { createEngine } from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { temporaryDirectory, writeShop } from './application.ts';
import { expectReconciled } from './metering.ts';
import { all, providersIn } from './world.ts';

const DOOMED = fileURLToPath(new URL('fixtures/doomed.ts', import.meta.url));
const MOMENTS = ['before', 'after'] as const;

async function doomed(path: string, call: number, moment: string): Promise<number> {
  const child = spawn(process.execPath, [DOOMED, path, 'protect', String(call), moment]);
  const [[code, signal], output, errors] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  if (signal === null && code !== 0) throw new Error(`the child failed by itself: ${errors}`);
  return Number(output);
}

async function withShop(body: (path: string) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  await body(directory.path);
}

it('a worker that is killed loses and doubles no record, and a collection accounts for what it stored', async () => {
  let calls = 0;
  await withShop(async (path) => {
    calls = await doomed(path, 0, 'never');
  });
  let inPart = 0;
  for (const share of [0.35, 0.5, 0.65, 0.95]) {
    for (const moment of MOMENTS) {
      await withShop(async (path) => {
        await doomed(path, Math.round(calls * share), moment);
        await using engine = await createEngine({
          store: sqliteStore(join(path, 'fafnir.db')),
          providers: Object.values(providersIn(path)),
          leaseMilliseconds: 1_000,
        });
        const acme = engine.for({ tenant: 'acme', actor: 'survivor' });
        for await (const { id } of acme.jobs.list()) {
          await acme.jobs
            .handle(id)
            .result()
            .catch(() => undefined);
        }
        const killed = await all(acme.usage());
        inPart += killed.filter(({ isWhole }) => !isWhole).length;
        await (await acme.collect({ provider: 'gold' })).result();
        await expectReconciled(acme, filesystemBank(join(path, 'bank')), `${moment} ${share}`);
      });
    }
  }
  expect(inPart).toBeGreaterThan(0);
}, 300_000);
