import { createInflate, deflateSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { download } from '../../../src/clients/openstack/download.ts';
import type { CallOptions } from '../../../src/core/contracts/index.ts';
import { live, SmallCloud } from './small-cloud.ts';

const MEBIBYTE = 1024 ** 2;
const place = { path: ['images', 'a', 'file'] };

let cloud: SmallCloud;
beforeEach(async () => {
  cloud = new SmallCloud();
  await cloud.start();
});
afterEach(() => cloud.stop());

const compute = () => cloud.client().service('compute');

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const kept: Uint8Array[] = [];
  for await (const piece of pieces) kept.push(piece);
  return Buffer.concat(kept);
}

test('bytes come in order, and through a pipe', async () => {
  const bytes = Buffer.alloc(3 * MEBIBYTE, 'bytes');
  cloud.serve = (_, response) => response.end(bytes);
  expect((await all(download(compute(), place, live))).equals(bytes)).toBe(true);
  cloud.serve = (_, response) => response.end(deflateSync(bytes));
  expect((await all(download(compute(), place, live, createInflate()))).equals(bytes)).toBe(true);
});

test('an error is that of the service, of the connection or of the pipe', async () => {
  cloud.serve = (_, response) => {
    response.statusCode = 404;
    response.end('{}');
  };
  await expect(all(download(compute(), place, live))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  cloud.serve = (_, response) => {
    response.writeHead(200, { 'content-length': '10' });
    response.write('first', () => response.destroy());
  };
  await expect(all(download(compute(), place, live))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  cloud.serve = (_, response) => response.end('no such thing');
  await expect(all(download(compute(), place, live, createInflate()))).rejects.toThrow(/header/);
});

test('whoever leaves or aborts ends the transfer', async () => {
  for (const end of ['leave', 'abort'] as const) {
    const closed = new Promise<void>((resolve) => {
      cloud.serve = (_, response) => {
        response.on('close', () => resolve());
        response.write('first');
      };
    });
    const caller = new AbortController();
    const reason = new Error('enough');
    const call: CallOptions = { signal: caller.signal };
    const reading = (async () => {
      for await (const _ of download(compute(), place, call)) {
        if (end === 'leave') return;
        caller.abort(reason);
      }
    })();
    if (end === 'leave') await reading;
    else await expect(reading).rejects.toBe(reason);
    await closed;
  }
});

test('a reader may take any time', async () => {
  const service = compute();
  await service.endpoint(live);
  const pauses: (() => void)[] = [];
  cloud.clock.sleep = () => new Promise((resolve) => pauses.push(resolve));
  const bytes = Buffer.alloc(8 * MEBIBYTE, 1);
  cloud.serve = (_, response) => response.end(bytes);
  let size = 0;
  for await (const piece of download(service, place, live)) {
    if (size === 0) {
      for (let period = 0; period < 5; period += 1) {
        for (const over of pauses.splice(0)) over();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    size += piece.length;
  }
  expect(size).toBe(bytes.length);
});
