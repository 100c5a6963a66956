import { readFileSync } from 'node:fs';
import type { Options } from 'tsup';

const manifest: {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
} = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));

/** `./dist/x.js` in the manifest is built from `src/x.ts`, so that the manifest is the only list of entries. */
function entries(targets: readonly string[]): Record<string, string> {
  const names = targets.map((target) => target.replace(/^\.\/dist\//, '').replace(/\.js$/, ''));
  return Object.fromEntries(names.map((name) => [name, `src/${name}.ts`]));
}

const modules = entries(
  Object.values(manifest.exports)
    .filter((target) => typeof target !== 'string')
    .map((target) => target.default),
);

const config: Options = {
  entry: { ...modules, ...entries(Object.values(manifest.bin)) },
  // The command line is a host of the package like any other.
  external: [/^fafnir(\/|$)/],
  format: 'esm',
  target: 'node22',
  dts: { entry: modules },
  clean: true,
  sourcemap: true,
  treeshake: true,
  // Without its prefix, node:sqlite is not found.
  removeNodeProtocol: false,
};
export default config;
