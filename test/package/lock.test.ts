import { describe, expect, it } from 'vitest';
import { manifest, readText } from './repository.ts';

interface LockEntry {
  readonly resolved?: string;
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const lock: Lock = JSON.parse(readText('package-lock.json'));

/** Where a value holds text that names a host or a path; what authors say of money and age is no address. */
function addresses(value: unknown, path: string): readonly string[] {
  if (typeof value === 'string') return /:\/\/|^(file|git|link|workspace):/.test(value) ? [path] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .filter(([name]) => name !== 'funding' && name !== 'deprecated')
    .flatMap(([name, inner]) => addresses(inner, `${path} > ${name}`));
}

/** The optional packages that an install on another platform would look for in vain. */
function missingOptional({ packages }: Lock): readonly string[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !places(path, name).some((place) => place in packages))
      .map((name) => `${path} > ${name}`),
  );
}

/** Where Node looks for a package from inside another. */
function places(path: string, name: string): readonly string[] {
  const folders = path === '' ? [] : path.split('/node_modules/');
  const inside = folders.map(
    (_, at) => `${folders.slice(0, at + 1).join('/node_modules/')}/node_modules/${name}`,
  );
  return [`node_modules/${name}`, ...inside];
}

describe('the lock file', () => {
  it('names no host, so that every registry serves it', () => {
    const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined);
    expect(resolved.map(([path]) => path)).toEqual([]);
    expect(addresses(lock, 'lock')).toEqual([]);
  });

  it('has an entry for each optional package of every platform', () => {
    expect(missingOptional(lock)).toEqual([]);
  });

  it('belongs to this package.json', () => {
    const { version, dependencies, devDependencies } = lock.packages[''] ?? {};
    expect({ version, dependencies, devDependencies }).toEqual({
      version: manifest.version,
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
    });
  });
});

describe('the checks of the lock file can fail', () => {
  it('on an address', () => {
    const entry = {
      version: '1.0.0',
      resolved: 'https://registry.example/a.tgz',
      funding: { url: 'https://a' },
    };
    expect(addresses({ packages: { a: entry, b: { version: 'file:../b' } } }, 'lock')).toEqual([
      'lock > packages > a > resolved',
      'lock > packages > b > version',
    ]);
  });

  it('on an optional package without an entry, found as Node finds it', () => {
    const optionalDependencies = { nested: '1', hoisted: '1', between: '1', missing: '1' };
    const packages = {
      '': {},
      'node_modules/a': {},
      'node_modules/a/node_modules/@b/c': { optionalDependencies },
      'node_modules/a/node_modules/@b/c/node_modules/nested': {},
      'node_modules/a/node_modules/between': {},
      'node_modules/hoisted': {},
    };
    expect(missingOptional({ packages })).toEqual(['node_modules/a/node_modules/@b/c > missing']);
  });
});
