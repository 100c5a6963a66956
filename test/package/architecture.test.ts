import { describe, expect, it } from 'vitest';
import { RESERVED, ROOMS, type Violation, violations } from './import-rules.ts';
import { parseModule, readModule } from './imports.ts';
import { filesBelow } from './repository.ts';

const text = ({ file, specifier, reason }: Violation): string =>
  specifier === '' ? `${file}: ${reason}` : `${file} imports ${specifier}: ${reason}`;

/** What the rules say about one made-up line. */
const judge = (file: string, line: string): readonly string[] =>
  violations([parseModule(file, `${line};\n`)]).map(text);

describe('the import rules of the house', () => {
  it('hold in every file of src', () => {
    const modules = filesBelow('src', /\.[cm]?[jt]sx?$/).map(readModule);
    expect(modules.length).toBeGreaterThan(0);
    expect(modules.flatMap((module) => module.imports).length).toBeGreaterThan(0);
    expect(violations(modules).map(text)).toEqual([]);
  });
});

describe('each rule can fail', () => {
  for (const { offence, reason } of [...ROOMS, ...RESERVED]) {
    it(`${offence.file}: ${offence.line}`, () => {
      const said = judge(offence.file, offence.line);
      expect(said).toContainEqual(expect.stringContaining(`${offence.file} imports `));
      expect(said).toContainEqual(expect.stringContaining(`: ${reason}`));
    });
  }

  it('a file outside every room', () => {
    expect(judge('src/helpers/a.ts', 'export const a = 1')).toEqual([
      'src/helpers/a.ts: its folder is no room of the house',
    ]);
  });

  it.each([
    'export default 1',
    'export default function a() {}',
    'export default class {}',
    'const a = 1; export { a as default }',
    `export { default } from './b.ts'`,
  ])('a default export: %s', (line) => {
    expect(judge('src/banks/a.ts', line)).toEqual([
      'src/banks/a.ts: a default export has no name to search for',
    ]);
  });

  it('a package imported in two folders', () => {
    const line = `import { pg } from 'pg/lib/a'`;
    const modules = ['src/stores/a.ts', 'src/stores/b/c.ts', 'src/banks/a.ts'].map((file) =>
      parseModule(file, line),
    );
    expect(violations(modules).map(text)).toEqual([
      'src/banks/a.ts imports pg/lib/a: a package is imported in one folder; this one is at home in src/stores',
    ]);
  });

  it.each([
    `import { a } from 'pg'`,
    `import 'node:fs'`,
    `export * from '../errors.ts'`,
    `import { type ErrorCode } from '../errors.ts'`,
    `export type { A } from '../options.ts'`,
    `let a: import('../clock.ts').A`,
  ])('in a contract: %s', (line) => {
    expect(judge('src/core/contracts/a.ts', line)).toEqual([
      expect.stringContaining('contracts are types and stand on nothing else'),
    ]);
  });

  it('a way out of src, and the package by its own name', () => {
    expect(judge('src/banks/a.ts', `import { a } from '../../test/a.ts'`)).toHaveLength(1);
    expect(judge('src/banks/a.ts', `import { a } from 'fafnir/testing'`)).toHaveLength(1);
  });
});

describe('the rules allow', () => {
  it.each([
    ['src/core/contracts/a.ts', `import type { ErrorCode } from '../errors.ts'`],
    ['src/core/contracts/a.ts', `import type { StandardSchemaV1 } from '@standard-schema/spec'`],
    ['src/core/a.ts', `import * as z from 'zod'`],
    ['src/core/operations/a.ts', `import { a } from '../archive/a.ts'`],
    ['src/clients/a/a.ts', `import type { CallOptions } from '../../core/contracts/call.ts'`],
    ['src/clients/a/a.ts', `import { spawn } from 'node:child_process'`],
    ['src/banks/a/b.ts', `import { a } from '../c.ts'`],
    ['src/providers/local.ts', `import { filesArray } from '../arrays/files.ts'`],
    ['src/http/a.ts', `import { createEngine } from '../index.ts'`],
    ['src/cli/a.ts', `const bank = await import('fafnir/banks/memory')`],
  ])('%s: %s', (file, line) => {
    expect(judge(file, line)).toEqual([]);
  });
});
