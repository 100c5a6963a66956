import { readdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Bench, Figure } from './figure.ts';

const NO_BENCHES = ['figure', 'run'];
const DIGITS = 4;

/** The benches of a folder: the names of its modules, without those that all of them share. */
export function benchNames(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .filter((name) => !NO_BENCHES.includes(name))
    .sort();
}

/** Figures as a table for people. */
export function renderTable(figures: readonly Figure[]): string {
  const head = ['figure', 'value', 'unit', 'rival', 'ratio', 'goal', 'met', 'rounds'];
  const hasRanges = figures.some(({ range }) => range !== undefined);
  const rows = figures.map(({ name, value, unit, rival, ratio, goal, met, rounds, range }) => [
    ...[name, value, unit, rival, ratio, goal, met, rounds].map(renderCell),
    ...(hasRanges ? [range?.map(renderCell).join(' to ') ?? '-'] : []),
  ]);
  if (hasRanges) head.push('range');
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function renderCell(value: string | number | boolean | null): string {
  if (value === null) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'NO';
  return typeof value === 'number' ? String(Number(value.toPrecision(DIGITS))) : value;
}

/**
 * Runs one bench of a folder as the command line asks: `NAME [--json]`. Resolves with the exit code. With `--json`
 * the last line is the figures as JSON, whatever the bench itself prints.
 */
export async function runBench(
  folder: string,
  commandLine: readonly string[],
  print: (line: string) => void,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...commandLine],
    options: { json: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const names = benchNames(folder);
  const [name] = positionals;
  if (name === undefined || positionals.length > 1 || !names.includes(name)) {
    print('usage: npm run bench -- NAME [--json]');
    print(`benches: ${names.join(', ')}`);
    return 2;
  }
  const bench: Bench = await import(new URL(`${name}.ts`, `${pathToFileURL(folder)}/`).href);
  const figures = await bench.run();
  print(renderTable(figures));
  if (values.json) print(JSON.stringify({ figures }));
  return 0;
}

const here = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === here) {
  process.exitCode = await runBench(dirname(here), process.argv.slice(2), console.log);
}
