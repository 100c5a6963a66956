import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NbdConnection } from '../../../src/clients/nbd/connection.ts';

const call = { signal: new AbortController().signal };
const HELLO = Buffer.from('NBDMAGICIHAVEOPT\0\x03');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-nbd-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** An answer to an option. */
function option(number: number, type: number, data: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(0x3_e889_0455_65a9n);
  head.writeUInt32BE(number, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

const info = Buffer.alloc(12);
info.writeBigUInt64BE(4096n, 2);
/** All that a server says until requests can be made; it may say it before it is asked. */
const AGREED = [HELLO, option(8, 1), option(10, 1), option(7, 3, info), option(7, 1)];

/** Opens a connection to a server that says this and does that. */
async function open(said: readonly Buffer[], serve: (socket: Socket) => void = () => undefined) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(Buffer.concat(said));
    serve(socket);
  });
  server.listen(join(folder, 'socket'));
  await once(server, 'listening');
  const socket = connect(join(folder, 'socket'));
  await once(socket, 'connect');
  // It takes the one connection, and is gone with it.
  server.close();
  return await NbdConnection.open(socket, 'the device', 300);
}

const wrong = { code: 'WRONG_ANSWER' };
const gone = { code: 'UNAVAILABLE' };

test.each<[string, readonly Buffer[], object]>([
  ['a greeting of another kind', [Buffer.alloc(18, 'x')], wrong],
  ['nothing', [], { ...gone, message: 'the device did not answer for 300 ms' }],
  ['half a greeting', [HELLO.subarray(0, 9)], gone],
  ['an answer to another option', [HELLO, option(9, 1)], wrong],
  ['an answer that is too long', [HELLO, option(8, 1, Buffer.alloc(70_000))], wrong],
  ['a refusal', [HELLO, option(8, 2 ** 31 + 1)], { code: 'UNSUPPORTED' }],
  ['no size', [HELLO, option(8, 1), option(10, 1), option(7, 1)], wrong],
])('a server that says %s is refused', async (_, said, error) => {
  await expect(open(said)).rejects.toMatchObject(error);
});

function chunk(type: number, data: Uint8Array, cookie = 1n): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32BE(0x668e_33ef);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(type, 6);
  head.writeBigUInt64BE(cookie, 8);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

test.each<[string, Buffer, object]>([
  ['of another request', chunk(1, Buffer.alloc(9), 7n), wrong],
  ['without a meaning', Buffer.alloc(64, 'x'), wrong],
  ['of an unknown kind', chunk(77, Buffer.alloc(4)), wrong],
  ['with more data than was asked for', chunk(1, Buffer.alloc(8 + 513)), wrong],
  ['with data from before', chunk(1, Buffer.concat([Buffer.alloc(8), Buffer.alloc(4)])), wrong],
  ['beyond reason', chunk(1, Buffer.alloc(20)).fill(0xff, 16, 20), wrong],
  ['with an error', chunk(0x8001, Buffer.of(0, 0, 0, 28, 0, 0)), { code: 'NO_SPACE' }],
])('an answer %s fails the read', async (_, answer, error) => {
  const device = await open(AGREED, (socket) => socket.once('data', () => socket.write(answer)));
  await expect(device.readInto(512, new Uint8Array(512), call)).rejects.toMatchObject(error);
  device.close();
});

test('a server that goes fails all that is under way, and what comes later', async () => {
  const device = await open(AGREED, (socket) => {
    let length = 0;
    socket.on('data', (data) => {
      length += data.length;
      // The four options, and two requests.
      if (length > 150) socket.destroy();
    });
  });
  const both = [0, 512].map((offset) => device.readInto(offset, new Uint8Array(512), call));
  const [one, other] = await Promise.allSettled(both);
  expect(one).toMatchObject({ status: 'rejected', reason: gone });
  expect(other).toMatchObject({ status: 'rejected', reason: gone });
  await expect(device.flush(call)).rejects.toMatchObject(gone);
});

test('a server that is silent is given up', async () => {
  const device = await open(AGREED);
  await expect(device.flush(call)).rejects.toMatchObject({ message: 'the device did not answer for 300 ms' });
});

test('without a map, all is data', async () => {
  const device = await open(AGREED);
  const runs = [];
  for await (const run of device.runs(call)) runs.push(run);
  expect(runs).toEqual([{ length: 4096, zero: false }]);
  device.close();
});
