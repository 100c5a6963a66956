import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'node_modules', '.cache', 'bench-archive');

let built: Promise<string> | undefined;

/** The path of `child.ts` as a program, built as the package is: what people run are not the sources. */
export function childProgram(): Promise<string> {
  built ??= buildChild();
  return built;
}

async function buildChild(): Promise<string> {
  await build({
    entry: { child: join(ROOT, 'bench/archive/child.ts'), worker: join(ROOT, 'src/worker.ts') },
    outDir: FOLDER,
    config: false,
    format: 'esm',
    target: 'node22',
    treeshake: true,
    removeNodeProtocol: false,
    silent: true,
    clean: true,
  });
  await writeFile(join(FOLDER, 'package.json'), '{ "type": "module" }');
  return join(FOLDER, 'child.js');
}
