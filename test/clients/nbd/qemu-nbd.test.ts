import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findProgram } from '../../../src/clients/host/run.ts';
import { serveImage } from '../../../src/clients/nbd/qemu-nbd.ts';

const call = { signal: new AbortController().signal };
const installed = await findProgram({ name: 'qemu-nbd', package: 'qemu-utils' }).catch(() => undefined);
const MIB = 2 ** 20;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-nbd-test-'));
  vi.stubEnv('TMPDIR', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const serve = (image: string, more: { timeout?: number; signal?: AbortSignal } = {}) =>
  serveImage({ image, name: 'the image', timeout: 30_000, environment: {}, ...call, ...more });

describe.skipIf(installed === undefined)(
  `qemu-nbd${installed === undefined ? ' (not installed)' : ''}`,
  () => {
    test('serves an image at random, like memory', async () => {
      const size = 3 * MIB + 512;
      const path = join(folder, 'image');
      await writeFile(path, '');
      await truncate(path, size);
      const expected = Buffer.alloc(size);
      const served = await serve(path);
      expect(served.device.size).toBe(size);
      const range = fc.tuple(
        fc.nat(size - 1),
        fc.integer({ min: 1, max: 700_000 }),
        fc.constantFrom('write', 'zero', 'read'),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(range, { maxLength: 8 }),
          fc.integer({ min: 1, max: 255 }),
          async (ranges, fill) => {
            for (const [offset, most, what] of ranges) {
              const length = Math.min(most, size - offset);
              if (what === 'write') {
                await served.device.write(offset, Buffer.alloc(length, fill), call);
                expected.fill(fill, offset, offset + length);
              } else if (what === 'zero') {
                await served.device.zero(offset, length, call);
                expected.fill(0, offset, offset + length);
              }
              const into = new Uint8Array(length);
              await served.device.readInto(offset, into, call);
              expect(Buffer.compare(into, expected.subarray(offset, offset + length))).toBe(0);
            }
          },
        ),
        { numRuns: 25 },
      );
      await served.device.flush(call);
      await served.close();
      expect(Buffer.compare(await readFile(path), expected)).toBe(0);
    });

    test('answers many at once, more than one request can carry, and tells what is zero', async () => {
      const path = join(folder, 'image');
      await writeFile(path, '');
      await truncate(path, 40 * MIB);
      const served = await serve(path);
      const runs = async () => {
        const found = [];
        for await (const run of served.device.runs(call)) found.push(run);
        return found;
      };
      expect(await runs()).toEqual([{ length: 40 * MIB, zero: true }]);
      await Promise.all(
        Array.from({ length: 16 }, (_, at) => served.device.write(at * MIB, Buffer.alloc(MIB, at + 1), call)),
      );
      await served.device.flush(call);
      const into = new Uint8Array(40 * MIB);
      await served.device.readInto(0, into, call);
      for (let at = 0; at < 40; at += 1) expect(into[at * MIB + 5]).toBe(at < 16 ? at + 1 : 0);
      expect(await runs()).toEqual([
        { length: 16 * MIB, zero: false },
        { length: 24 * MIB, zero: true },
      ]);
      await served.close();
      await expect(served.device.flush(call)).rejects.toMatchObject({ code: 'CLOSED' });
    });

    test('leaves no folder, also where it fails', async () => {
      await writeFile(join(folder, 'image'), Buffer.alloc(MIB));
      const served = await serve(join(folder, 'image'));
      expect(await readdir(folder)).toEqual(['image']);
      await served.close();
      await expect(serve(join(folder, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(serve('no-such-protocol:x')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      const reason = new Error('not wanted');
      await expect(serve(join(folder, 'image'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(await readdir(folder)).toEqual(['image']);
    });

    test('refuses what the server refuses, and goes on', async () => {
      await writeFile(join(folder, 'image'), Buffer.alloc(MIB, 1));
      const served = await serve(join(folder, 'image'));
      await expect(served.device.readInto(MIB - 1, new Uint8Array(2), call)).rejects.toMatchObject({
        message: expect.stringContaining('answered error'),
      });
      const into = new Uint8Array(1);
      await served.device.readInto(MIB - 1, into, call);
      expect(into).toEqual(Uint8Array.of(1));
      await served.close();
    });
  },
);
