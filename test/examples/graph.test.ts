import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../core/engine/application.ts';
import { ensureBuilt, repository } from './built.ts';

describe('the graph example', () => {
  beforeAll(ensureBuilt);

  it('draws the application as docs/graphs.md has it, and says how it drifted', async () => {
    await using directory = await temporaryDirectory();
    const main = join(repository, 'examples', 'graph', 'main.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [main, directory.path]);
    const [flowchart, rest = ''] = stdout.split('\n\n');
    const page = await readFile(join(repository, 'docs', 'graphs.md'), 'utf8');
    expect(page).toContain(`\`\`\`mermaid\n${flowchart}\n\`\`\`\n`);
    const picture = join(directory.path, 'shop.svg');
    expect(rest.trimEnd().split('\n')).toEqual([
      'since the preview: 1 added (Local::Volume/db-logs); ' +
        '1 edge added (Local::Server/db -> Local::Volume/db-logs)',
      expect.stringMatching(new RegExp(`^checkpoint \\S+ is drawn in ${picture}$`)),
      'since the checkpoint: no difference',
    ]);
    const svg = await readFile(picture, 'utf8');
    expect(svg).toMatch(/^<svg /);
    expect(svg).toContain('7 resources');
    expect(svg).toContain('6 done, 1 in another state');
    expect(svg).not.toContain('scratch');
  });
});
