import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { temporaryDirectory } from '../core/engine/application.ts';
import { ensureBuilt, repository } from './built.ts';

beforeAll(ensureBuilt);

it('the example of schedules protects by night and by event, and not while the site is paused', async () => {
  await using directory = await temporaryDirectory();
  const main = join(repository, 'examples', 'schedules.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [main, directory.path]);
  expect(stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^night: .*"state":"available"/),
    'night: missed, paused',
    expect.stringMatching(/^before upgrade 7: .*"state":"available"/),
  ]);
});
