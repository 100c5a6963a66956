import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { benchNames, renderTable, runBench } from '../../bench/run.ts';
import { run } from './fixtures/sample.ts';

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));
const program = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

const TABLE = [
  'figure   value  unit  rival     ratio   goal          met  rounds',
  '-------  -----  ----  --------  ------  ------------  ---  ------',
  'archive  1235   MB/s  tar 1.35  0.8124  ratio >= 0.8  yes  5',
  'memory   90     MB    -         -       <= 80         NO   1',
  'pause    0      ms    -         -       -             -    3',
].join('\n');

async function runIn(folder: string, ...commandLine: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await runBench(folder, commandLine, (line) => lines.push(line));
  return { code, lines };
}

describe('a bench', () => {
  it('is run by its name and its figures are printed as a table', async () => {
    expect(await runIn(fixtures, 'sample')).toEqual({ code: 0, lines: [TABLE] });
  });

  it('prints its figures as the last line with --json, before or after the name', async () => {
    for (const commandLine of [
      ['sample', '--json'],
      ['--json', 'sample'],
    ]) {
      const { code, lines } = await runIn(fixtures, ...commandLine);
      expect(code).toBe(0);
      expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ figures: await run() });
    }
  });

  it('has every column wide enough for its longest cell', async () => {
    const [figure] = await run();
    const rows = renderTable(figure === undefined ? [] : [{ ...figure, name: 'a far longer name' }]).split(
      '\n',
    );
    expect(rows.map((row) => row.indexOf('  '))).toEqual(['figure'.length, 17, 17]);
  });
});

describe('a name that is no bench', () => {
  it.each([[], ['nonsense'], ['../run.test'], ['sample', 'sample'], ['--json']])(
    'is answered with the names: %j',
    async (...commandLine) => {
      expect(await runIn(fixtures, ...commandLine)).toEqual({
        code: 2,
        lines: ['usage: npm run bench -- NAME [--json]', 'benches: sample'],
      });
    },
  );

  it('makes the program exit with 2', () => {
    const { status, stdout } = spawnSync(process.execPath, [program, 'nonsense'], { encoding: 'utf8' });
    expect(stdout).toContain('usage: npm run bench -- NAME [--json]\nbenches: ');
    expect(status).toBe(2);
  });

  it('is never one of the shared modules', () => {
    const names = benchNames(fileURLToPath(new URL('../../bench', import.meta.url)));
    expect(names).not.toContain('run');
    expect(names).not.toContain('figure');
  });
});
