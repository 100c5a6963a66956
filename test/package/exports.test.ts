import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import tsup from '../../tsup.config.ts';
import { manifest, readText, root } from './repository.ts';

/** Subpath to its targets; package.json itself is no module. */
const modules = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === 'string' ? [] : [{ subpath, ...target }],
);
const names = modules.map(({ subpath }) => (subpath === '.' ? 'index' : subpath.slice('./'.length)));
const sources = modules.map((module) => module.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts'));

describe('the exports map', () => {
  it('lists modules as types first, then the code beside them, and package.json', () => {
    expect(modules.length).toBeGreaterThan(0);
    expect(manifest.exports['./package.json']).toBe('./package.json');
    expect(Object.keys(manifest.exports)).toHaveLength(modules.length + 1);
    for (const module of modules) {
      expect(Object.keys(module)).toEqual(['subpath', 'types', 'default']);
      expect(module.default).toMatch(/^\.\/dist\/[a-z0-9/-]+\.js$/);
      expect(module.types).toBe(module.default.replace(/\.js$/, '.d.ts'));
    }
  });

  it('names each subpath like its file', () => {
    const files = sources.map((source) => source.replace(/^src\//, '').replace(/\.ts$/, ''));
    const folders = files.map((file) => file.replace(/\/index$/, ''));
    expect(folders).toEqual(names);
  });

  it('has a source file for each module', () => {
    expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([]);
  });

  it('is what the build builds, no more and no less', () => {
    const programs = Object.values(manifest.bin).map((target) =>
      target.replace('./dist/', 'src/').replace(/\.js$/, '.ts'),
    );
    const built = [...sources, ...programs].map((source) => [
      source.replace(/^src\//, '').replace(/\.ts$/, ''),
      source,
    ]);
    expect(tsup.entry).toEqual(Object.fromEntries(built));
  });

  it('is what the documentation covers, no more and no less', () => {
    const { entryPoints } = JSON.parse(readText('typedoc.json')) as { entryPoints: string[] };
    expect([...entryPoints].sort()).toEqual([...sources].sort());
  });

  describe.skipIf(!existsSync(join(root, 'dist')))('of the built package (needs "npm run build")', () => {
    it('leads to files', () => {
      const targets = modules.flatMap((module) => [module.types, module.default]);
      expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([]);
    });

    it('leads to modules that a host can import by name', () => {
      const specifiers = modules.map(({ subpath }) => `${manifest.name}${subpath.slice(1)}`);
      const code = specifiers.map((specifier) => `await import('${specifier}');`).join('\n');
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', code],
        { cwd: root, encoding: 'utf8' },
      );
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
    });
  });
});
