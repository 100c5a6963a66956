import { describe, expect, test } from 'vitest';
import {
  type CatalogEntry,
  endpointOf,
  serviceTypeOf,
  versionsUrlOf,
} from '../../../src/clients/openstack/catalog.ts';

const entry = (type: string, ...regions: readonly string[]): CatalogEntry => ({
  type,
  endpoints: regions.map((region) => ({ interface: 'public', region, url: `http://${region}/${type}` })),
});
const find = (catalog: readonly CatalogEntry[], type: string, region?: string) =>
  endpointOf(catalog, { type, region, interface: 'public' }).href;

describe('a service is found', () => {
  test('by its older names, the newest of them first', () => {
    expect(['volume', 'volumev3', 'block-storage', 'compute'].map(serviceTypeOf)).toEqual([
      'block-storage',
      'block-storage',
      'block-storage',
      'compute',
    ]);
    expect(find([entry('volume', 'one'), entry('volumev3', 'one')], 'block-storage')).toBe(
      'http://one/volumev3/',
    );
  });

  test('in the region', () => {
    const catalog = [entry('compute', 'one', 'two')];
    expect(find(catalog, 'compute', 'two')).toBe('http://two/compute/');
    expect(() => find(catalog, 'compute')).toThrow('compute is in the regions one, two');
    expect(() => find(catalog, 'compute', 'three')).toThrow('no region three; it has one, two');
    expect(() => find([...catalog, entry('image', 'one')], 'image', 'two')).toThrow('it is in one');
    expect(() => find(catalog, 'image')).toThrow('the catalog has no public image');
  });

  test('with its version where the catalog leaves it out', () => {
    expect(find([entry('network', 'one')], 'network')).toBe('http://one/network/v2.0/');
    const endpoints = [{ interface: 'public', region: 'one', url: 'http://one:9696/v2.0' }];
    expect(find([{ type: 'network', endpoints }], 'network')).toBe('http://one:9696/v2.0/');
  });

  test('at an address of HTTP alone', () => {
    const endpoints = [{ interface: 'public', region: 'one', url: 'file:///etc/passwd' }];
    expect(() => find([{ type: 'compute', endpoints }], 'compute')).toThrow('no http address');
  });
});

test('versions are told where the project is left out', () => {
  const of = (url: string) => versionsUrlOf(new URL(url)).href;
  expect(of('http://cloud:8776/v3/0123/')).toBe('http://cloud:8776/v3/');
  expect(of('http://cloud/compute/v2.1/')).toBe('http://cloud/compute/v2.1/');
  expect(of('http://cloud/placement/')).toBe('http://cloud/placement/');
});
