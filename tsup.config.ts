import { readFileSync } from 'node:fs';
import type { Options } from 'tsup';

const manifest: { readonly exports: Readonly<Record<string, string | { readonly default: string }>> } =
  JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));

/** `./dist/x.js` in the exports map is built from `src/x.ts`, so that the map is the only list of entries. */
function entries(): Record<string, string> {
  const names = Object.values(manifest.exports)
    .filter((target) => typeof target !== 'string')
    .map((target) => target.default.replace(/^\.\/dist\//, '').replace(/\.js$/, ''));
  return Object.fromEntries(names.map((name) => [name, `src/${name}.ts`]));
}

const config: Options = {
  entry: entries(),
  format: 'esm',
  target: 'node22',
  dts: true,
  clean: true,
  sourcemap: true,
  treeshake: true,
  // Without its prefix, node:sqlite is not found.
  removeNodeProtocol: false,
};
export default config;
