import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../core/engine/application.ts';
import { ensureBuilt, repository } from './built.ts';

const example = join(repository, 'examples', '01-protect-an-application.ts');

describe('the quick start', () => {
  beforeAll(ensureBuilt);

  it('protects an application and restores it elsewhere', async () => {
    await using directory = await temporaryDirectory();
    const { stdout } = await promisify(execFile)(process.execPath, [example, directory.path]);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toBe(`restored 3 resources, 6000000 bytes in ${join(directory.path, 'b')}`);
    const restored = await readFile(join(directory.path, 'b', 'volumes', 'disk.raw'), 'utf8');
    expect(restored === 'hello '.repeat(1_000_000)).toBe(true);
  });

  it('has a body of at most 30 lines', async () => {
    const lines = (await readFile(example, 'utf8')).split('\n');
    const body = lines.filter((line) => !/^(import .*|\/\/ .*|)$/.test(line));
    expect(body.length).toBeGreaterThan(0);
    expect(body.length).toBeLessThanOrEqual(30);
  });

  it('is in the README as it is', async () => {
    const readme = await readFile(join(repository, 'README.md'), 'utf8');
    expect(readme).toContain(`\n\`\`\`ts\n${await readFile(example, 'utf8')}\`\`\`\n`);
  });
});
