import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { root } from './repository.ts';

// Nearly half of it is zod.
const GZIP_LIMIT = 143_360;
// What esbuild calls its own helpers for newer syntax.
const RUNTIME = '<runtime>';
// Loaded when they are first needed, which is not at import.
const LATER = ['croner', 'rrule'];
const VENDORS = ['undici', '@aws-sdk/*', 'aws-sdk', '@smithy/*', 'pg', 'pg-boss'];

interface Edge {
  readonly path: string;
  readonly kind: string;
  readonly external?: boolean;
}

/** The part of esbuild that is used here; esbuild itself comes with tsup. */
interface Bundler {
  build(options: Readonly<Record<string, unknown>>): Promise<{
    readonly outputFiles: readonly { readonly contents: Uint8Array }[];
    readonly metafile: {
      readonly inputs: Readonly<Record<string, { readonly imports: readonly Edge[] }>>;
    };
  }>;
}

const ofTsup = createRequire(createRequire(import.meta.url).resolve('tsup'));
const esbuild: Bundler = ofTsup('esbuild');

/** What a host that imports the module gets: the vendor packages it reaches, and its size. */
async function bundle(code: string): Promise<{ readonly vendors: readonly string[]; readonly gzip: number }> {
  const { outputFiles, metafile } = await esbuild.build({
    stdin: { contents: code, resolveDir: root, loader: 'ts' },
    absWorkingDir: root,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    external: [...VENDORS, ...LATER],
    logLevel: 'silent',
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const outside = imports.filter(
    (edge) =>
      edge.external === true && !edge.path.startsWith('node:') && edge.path !== RUNTIME && !isLater(edge),
  );
  const gzip = outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
  return { vendors: outside.map(({ path }) => path), gzip };
}

const isLater = ({ path, kind }: Edge): boolean => LATER.includes(path) && kind === 'dynamic-import';

describe('importing the package', () => {
  it('reaches no vendor code and stays small', async () => {
    const { vendors, gzip } = await bundle(`export * from './src/index.ts'`);
    expect(vendors).toEqual([]);
    expect(gzip).toBeLessThan(GZIP_LIMIT);
  });

  it.each(['undici', '@aws-sdk/client-s3', 'pg', 'pg-boss'])('would be caught reaching %s', async (name) => {
    expect((await bundle(`export const client = () => import('${name}')`)).vendors).toEqual([name]);
  });

  it.each(LATER)('would be caught loading %s at import', async (name) => {
    expect((await bundle(`export * as library from '${name}'`)).vendors).toEqual([name]);
  });

  it('counts what is imported', async () => {
    const { vendors, gzip } = await bundle(`export * as zod from 'zod'`);
    expect(vendors).toEqual([]);
    expect(gzip).toBeGreaterThan(GZIP_LIMIT / 3);
  });
});
