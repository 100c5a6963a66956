import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Part } from '../../src/index.ts';
import { ExternalStore, type Held } from '../core/engine/external-store.ts';
import { type Gate, portedCopies } from './ports.ts';

/** Copies as files, each whole or not there. */
const filesIn = (folder: string, gate: Gate | undefined): Held => ({
  get(token) {
    const path = join(folder, token);
    return existsSync(path) ? readFileSync(path) : undefined;
  },
  set(token, bytes) {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, token);
    const draft = `${path}.${process.pid}.draft`;
    writeFileSync(draft, bytes);
    renameSync(draft, path);
    gate?.boundaries.cross('outside.held', 'after');
    return new Map([[token, bytes]]);
  },
  keys() {
    const files = existsSync(folder) ? readdirSync(folder) : [];
    return new Map(files.filter((file) => !file.endsWith('.draft')).map((file) => [file, true])).keys();
  },
  delete(token) {
    const was = existsSync(join(folder, token));
    rmSync(join(folder, token), { force: true });
    return was;
  },
});

/** A service outside that keeps copies in a folder. */
export function outside(folder: string, gate: Gate | undefined): Part {
  const store = new ExternalStore(filesIn(folder, gate));
  return {
    contract: 1,
    name: 'outside',
    copyStores: [gate === undefined ? store : portedCopies(store, gate)],
  };
}
