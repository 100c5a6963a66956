import { describe, expect, test } from 'vitest';
import { negotiate } from '../../../src/clients/openstack/microversions.ts';

const nova = { version: { id: 'v2.1', version: '2.93', min_version: '2.1', status: 'CURRENT', links: [] } };
const cinder = {
  versions: [
    { id: 'v2.0', version: '', min_version: '' },
    { id: 'v3.0', version: '3.70', min_version: '3.0' },
  ],
};
const placement = { versions: [{ id: 'v1.0', max_version: '1.39', min_version: '1.0' }] };

describe('a microversion', () => {
  test.each([
    ['the newest of the caller', nova, '2.1', '2.79', '2.79'],
    ['the newest of the service', nova, '2.1', '2.100', '2.93'],
    ['no decimal', nova, '2.9', '2.10', '2.10'],
    ['that of the only version that has some', cinder, '3.27', '3.99', '3.70'],
    ['of Placement', placement, '1.6', '1.38', '1.38'],
  ])('is %s', (_, document, least, most, expected) => {
    expect(negotiate('a service', document, { least, most })).toBe(expected);
  });

  test.each([
    ['what the caller needs is too new', nova, '2.94', '2.99', 'has the microversions 2.1 to 2.93'],
    [
      'what the caller knows is too old',
      { version: { version: '3.9', min_version: '3.5' } },
      '3.1',
      '3.4',
      '3.5 to 3.9',
    ],
    ['the service has none', { versions: [{ id: 'v2.0' }] }, '2.1', '2.2', 'has no microversions'],
    ['the answer is none', { hello: 1 }, '2.1', '2.2', 'not an answer of OpenStack'],
  ])('is refused where %s', (_, document, least, most, message) => {
    expect(() => negotiate('a service', document, { least, most })).toThrow(message);
  });
});
