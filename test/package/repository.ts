import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url));

/** The parts of package.json that tests read. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

/** The text of a file, named from the root. */
export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** package.json. */
export const manifest: Manifest = JSON.parse(readText('package.json'));

/** Files below a folder whose names have the ending, named from the root with slashes; none where there is no folder. */
export function filesBelow(folder: string, ending: RegExp): readonly string[] {
  return readFolder(folder)
    .map((name) => `${folder}/${name.split(sep).join('/')}`)
    .filter((path) => ending.test(path))
    .sort();
}

/** Lines as `wc -l` counts them. */
export function countLines(path: string): number {
  return readText(path).split('\n').length - 1;
}

function readFolder(folder: string): readonly string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
