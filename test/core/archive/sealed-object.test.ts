import { describe, expect, it } from 'vitest';
import { keyIdOfObject, openObject, sealObject } from '../../../src/core/archive/sealed-object.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { flipped, newDataKey } from './data-keys.ts';

const NAME = 'acme/manifests/faf-1';
const PLAIN = new TextEncoder().encode('{"size":3}');

const corrupt = (work: () => unknown): void => {
  expect(work).toThrow(FafnirError);
  expect(work).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
};

describe('a sealed object', () => {
  it('opens to what was sealed, also where that is nothing', () => {
    const key = newDataKey();
    for (const plain of [PLAIN, new Uint8Array()]) {
      const object = Buffer.concat(sealObject(key, NAME, plain));
      expect(keyIdOfObject(NAME, object)).toBe(key.id);
      expect(Buffer.compare(openObject(key, NAME, object), plain)).toBe(0);
      expect(object.includes(Buffer.from(PLAIN))).toBe(false);
    }
  });

  it('is refused with any bit changed, and with any end missing', () => {
    const key = newDataKey();
    const object = Buffer.concat(sealObject(key, NAME, PLAIN));
    for (let bit = 0; bit < object.length * 8; bit += 1) {
      corrupt(() => openObject(key, NAME, flipped(object, bit)));
    }
    for (let length = 0; length < object.length; length += 1) {
      corrupt(() => openObject(key, NAME, object.subarray(0, length)));
    }
    corrupt(() => openObject(key, NAME, Buffer.concat([object, Uint8Array.of(0)])));
  });

  it('is refused under another name, in another repository, and under another key', () => {
    const key = newDataKey();
    const object = Buffer.concat(sealObject(key, NAME, PLAIN));
    corrupt(() => openObject(key, 'acme/manifests/faf-2', object));
    corrupt(() => openObject(key, 'other/manifests/faf-1', object));
    corrupt(() => openObject({ ...key, repository: newDataKey().repository }, NAME, object));
    corrupt(() => openObject(newDataKey(key.repository), NAME, object));
    corrupt(() => openObject({ ...newDataKey(key.repository), id: key.id }, NAME, object));
  });

  it('never says the same twice', () => {
    const key = newDataKey();
    const [one, other] = [1, 2].map(() => Buffer.concat(sealObject(key, NAME, PLAIN)));
    expect(one).not.toEqual(other);
    expect(one?.subarray(-PLAIN.length - 16)).not.toEqual(other?.subarray(-PLAIN.length - 16));
  });
});
