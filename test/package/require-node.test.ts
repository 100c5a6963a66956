import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manifest, root } from './repository.ts';

const guard = join(root, 'scripts/require-node.mjs');

function runGuard(node: string, script: string): { readonly status: number | null; readonly said: string } {
  const { status, stderr } = spawnSync(node, [script], { encoding: 'utf8' });
  return { status, said: stderr };
}

/** A copy of the guard beside a package.json that asks for `needed`. */
function runCopy(needed: string): { readonly status: number | null; readonly said: string } {
  const folder = mkdtempSync(join(tmpdir(), 'fafnir-require-node-'));
  try {
    mkdirSync(join(folder, 'scripts'));
    copyFileSync(guard, join(folder, 'scripts/require-node.mjs'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ engines: { node: needed } }));
    return runGuard(process.execPath, join(folder, 'scripts/require-node.mjs'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An installed Node of before 22, as `vMAJOR.MINOR.PATCH` and its path. */
function findOldNode(): { readonly path: string; readonly version: string } | undefined {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']) {
    const path = join(folder, 'node');
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
    const major = Number(/^v(\d+)\./.exec(version)?.[1]);
    if (major >= 12 && major < 22) return { path, version };
  }
  return undefined;
}

describe('the guard of the npm scripts', () => {
  it('lets the Node that runs the tests pass without a word', () => {
    expect(runGuard(process.execPath, guard)).toEqual({ status: 0, said: '' });
  });

  it('refuses a Node older than the one that package.json asks for', () => {
    const [major, minor, patch] = process.versions.node.split('.').map(Number);
    expect(runCopy(`>=${major}.${minor}.${patch}`).status).toBe(0);
    expect(runCopy(`>=${Number(major) - 1}.99.99`).status).toBe(0);
    for (const needed of [
      `>=${major}.${minor}.${Number(patch) + 1}`,
      `>=${major}.${Number(minor) + 1}.0`,
      `>=${Number(major) + 1}.0.0`,
    ]) {
      const { status, said } = runCopy(needed);
      expect(status).toBe(1);
      expect(said).toContain(process.version);
      expect(said).toContain(needed);
      expect(said).toContain('npm ci');
    }
  });

  const old = findOldNode();
  it.skipIf(old === undefined)(
    `runs on an old Node and refuses it${old === undefined ? ' (skipped: none is installed)' : ` (${old.version})`}`,
    () => {
      const { status, said } = runGuard(old?.path ?? '', guard);
      expect(status).toBe(1);
      expect(said).toContain(`This is Node ${old?.version}`);
      expect(said).not.toContain('SyntaxError');
    },
  );

  it('comes first in every script that runs JavaScript', () => {
    const unguarded = Object.entries(manifest.scripts)
      .filter(([, script]) => /\b(node|tsc|tsup|vitest|typedoc|publint|attw)\b/.test(script))
      .filter(([, script]) => !/^(node scripts\/require-node\.mjs|npm run \S+) && /.test(script));
    expect(unguarded).toEqual([]);
  });
});
