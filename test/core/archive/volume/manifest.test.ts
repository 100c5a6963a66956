import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { putRecord } from '../../../../src/core/archive/records.ts';
import {
  findManifest,
  getManifest,
  type Manifest,
  putManifest,
  removeManifest,
} from '../../../../src/core/archive/volume/manifest.ts';
import { bankWith, countingCall, keysOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';

const CALL = countingCall();
const MANIFEST: Manifest = {
  size: 3 * 1024 * 1024,
  chunkSize: 1024 * 1024,
  idKey: '0123456789abcdef',
  pages: ['a'.repeat(64)],
  indexes: ['volume/one', 'older/two'],
};

describe('a manifest', () => {
  it('is found by its token and read by its reference', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const stored = await putManifest(vault, 'volume', MANIFEST, CALL);
    expect(stored).toEqual({ ...MANIFEST, token: 'volume', digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await keysOf(vault.bank, 'acme/manifests/')).toEqual([`acme/manifests/volume=${stored.digest}`]);
    expect(await findManifest(vault, 'volume', CALL)).toEqual(stored);
    expect(await getManifest(vault, stored, CALL)).toEqual(stored);
    // A token that begins alike is another.
    expect(await findManifest(vault, 'vol', CALL)).toBeUndefined();
  });

  it('of another worker counts if it is the first in the order of keys, for both', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const others = ['b', 'c', 'd', 'e'].map((page) => ({ ...MANIFEST, pages: [page.repeat(64)] }));
    const answers = [];
    for (const manifest of [MANIFEST, ...others])
      answers.push(await putManifest(vault, 'volume', manifest, CALL));
    const [first] = await keysOf(vault.bank, 'acme/manifests/');
    expect(answers.at(-1)?.digest).toBe(first?.slice(first.indexOf('=') + 1));
    expect(await findManifest(vault, 'volume', CALL)).toEqual(answers.at(-1));
    expect(await putManifest(vault, 'volume', MANIFEST, CALL)).toEqual(answers.at(-1));
  });

  it('counts also where the bank lists it late', async () => {
    const vault = vaultOf(
      bankWith((sound) => ({
        list: (prefix, options) => (prefix.includes('manifests') ? noObjects() : sound.list(prefix, options)),
      })),
    );
    const stored = await putManifest(vault, 'volume', MANIFEST, CALL);
    expect(stored).toMatchObject(MANIFEST);
    await removeManifest(vault, stored, CALL);
    await expect(getManifest(vault, stored, CALL)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('counts where it is the first, though the bank lists only those of others so far', async () => {
    let hidden = '';
    const bank = bankWith((sound) => ({
      list: async function* (prefix, options) {
        for await (const object of sound.list(prefix, options)) if (object.key !== hidden) yield object;
      },
    }));
    const vault = vaultOf(bank);
    for (const page of ['a', 'b', 'c', 'd']) {
      await putManifest(vault, 'volume', { ...MANIFEST, pages: [page.repeat(64)] }, CALL);
    }
    const first = await findManifest(vault, 'volume', CALL);
    hidden = `acme/manifests/volume=${first?.digest}`;
    expect((await findManifest(vault, 'volume', CALL))?.digest).not.toBe(first?.digest);
    if (first === undefined) return expect.unreachable();
    expect(await putManifest(vault, 'volume', first, CALL)).toEqual(first);
  });

  it('that is damaged counts for nobody', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    await vault.bank.put(`acme/manifests/volume=${'0'.repeat(64)}`, new Uint8Array(200), {
      ifAbsent: true,
      ...CALL,
    });
    expect(await findManifest(vault, 'volume', CALL)).toBeUndefined();
    expect(await putManifest(vault, 'volume', MANIFEST, CALL)).toMatchObject(MANIFEST);
  });

  it('is removed with all others of its token, and of no other', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    await putManifest(vault, 'volume', MANIFEST, CALL);
    await putManifest(vault, 'volume', { ...MANIFEST, pages: ['b'.repeat(64)] }, CALL);
    const other = await putManifest(vault, 'volume-2', MANIFEST, CALL);
    await removeManifest(vault, { token: 'volume' }, CALL);
    expect(await keysOf(vault.bank, 'acme/manifests/')).toEqual([`acme/manifests/volume-2=${other.digest}`]);
    await removeManifest(vault, { token: 'volume' }, CALL);
  });

  it.each<[string, object]>([
    ['another format', { format: 0 }],
    ['another kind', { kind: 'page' }],
    ['a field too many', { more: 1 }],
    ['no size', { size: undefined }],
    ['a negative size', { size: -1 }],
    ['a size that is not whole', { size: 1.5 }],
    ['a chunk size that is no power of two', { chunkSize: 1_000_000 }],
    ['chunks too small', { chunkSize: 1024 }],
    ['chunks too large', { chunkSize: 8 * 1024 * 1024 }],
    ['too few pages', { pages: [] }],
    ['too many pages', { pages: ['a'.repeat(64), 'b'.repeat(64)] }],
    ['a page that is no id', { pages: ['A'.repeat(64)] }],
    ['a key that is no id', { idKey: '../../../../etc' }],
    ['an index that is no name', { indexes: ['../other/index'] }],
    ['an index without a token', { indexes: ['index'] }],
  ])('with %s is refused', async (_, change) => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const record = { format: 1, kind: 'manifest', ...MANIFEST, ...change };
    const digest = await putRecord(vault, (digest) => `acme/manifests/volume=${digest}`, record, CALL);
    await expect(getManifest(vault, { token: 'volume', digest }, CALL)).rejects.toMatchObject({
      code: 'CORRUPT',
    });
  });
});

async function* noObjects(): AsyncGenerator<never> {
  yield* [];
}
