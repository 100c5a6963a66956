import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { temporaryDirectory } from '../core/engine/application.ts';
import { ensureBuilt, repository } from './built.ts';

beforeAll(ensureBuilt);

it('the example of templates runs one of the tenant and, by a schedule, one of the host', async () => {
  await using directory = await temporaryDirectory();
  const main = join(repository, 'examples', 'templates.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [main, directory.path]);
  expect(stdout.trimEnd().split('\n')).toEqual([
    'tenant: save (pause)',
    'host: check (share)',
    'host: back (to)',
    'template save: arguments: pause is missing',
    'protect from save: succeeded',
    'restore from back: succeeded',
    'verify from check: succeeded',
  ]);
});
