import { expect, it } from 'vitest';
import { manifest, readText } from './repository.ts';

it('the newest version in CHANGELOG.md is the one in package.json', () => {
  const versions = [...readText('CHANGELOG.md').matchAll(/^## \[?(\d+\.\d+\.\d+[^\]\s]*)/gm)];
  expect(versions[0]?.[1]).toBe(manifest.version);
});
