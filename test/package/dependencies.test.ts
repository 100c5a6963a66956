import { describe, expect, it } from 'vitest';
import { readModule } from './imports.ts';
import { filesBelow, manifest, readText } from './repository.ts';

const runtime = Object.keys(manifest.dependencies).sort();
const peers = Object.keys(manifest.peerDependencies).sort();
const development = Object.keys(manifest.devDependencies).sort();

const SOURCES = /\.(ts|mjs)$/;
const elsewhere = ['test', 'bench', 'examples', 'scripts'].flatMap((folder) => filesBelow(folder, SOURCES));
const configs = ['tsup.config.ts', 'vitest.config.ts'];

/** The packages that the files import, in order of name. */
function importedBy(files: readonly string[]): readonly string[] {
  const targets = files.flatMap((file) => readModule(file).imports.map(({ target }) => target));
  const packages = targets.filter((target) => target.startsWith('npm:'));
  return [...new Set(packages.map((target) => target.slice('npm:'.length)))].sort();
}

/** The packages that a section of the document has rows for, in order of name. */
function documented(heading: string): readonly string[] {
  const section = readText('docs/dependencies.md')
    .split(/^## /m)
    .find((text) => text.startsWith(heading));
  return [...(section ?? '').matchAll(/^\| `([^`]+)` \| \S/gm)].map(([, name]) => name ?? '').sort();
}

/** Development tools that no file imports: run by a script, or read by the compiler. */
function isTool(name: string): boolean {
  if (name.startsWith('@types/')) return true;
  const { bin = {} }: { readonly bin?: Readonly<Record<string, string>> } = JSON.parse(
    readText(`node_modules/${name}/package.json`),
  );
  const words = Object.values(manifest.scripts).flatMap((script) => script.split(' '));
  return Object.keys(bin).some((program) => words.includes(program));
}

describe('dependencies', () => {
  it('are explained in docs/dependencies.md, and no other is', () => {
    expect(documented('At run time')).toEqual(runtime);
    expect(documented('If a host uses it')).toEqual(peers);
    expect(documented('For development')).toEqual(development);
  });

  it('of src are the imported packages, no more and no less', () => {
    expect(importedBy(filesBelow('src', SOURCES))).toEqual([...runtime, ...peers].sort());
  });

  it('of hosts are optional, and tested in the version that is asked for', () => {
    for (const name of peers) {
      expect(manifest.peerDependenciesMeta[name]).toEqual({ optional: true });
      expect(manifest.devDependencies[name]).toBe(manifest.peerDependencies[name]);
    }
  });

  it('of tests and tools are declared', () => {
    const undeclared = importedBy([...elsewhere, ...configs]).filter(
      (name) => !runtime.includes(name) && !development.includes(name),
    );
    expect(undeclared).toEqual([]);
  });

  it('for development are used', () => {
    // What hosts bring, src imports.
    const imported = [...importedBy([...elsewhere, ...configs]), ...peers];
    expect(development.filter((name) => !imported.includes(name) && !isTool(name))).toEqual([]);
  });
});
