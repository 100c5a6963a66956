import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connectLocal, connectVolume, parseConnection } from '../../src/arrays/cinder/connection.ts';
import { openRaw } from '../../src/arrays/cinder/raw.ts';
import { createUsers } from '../../src/arrays/cinder/users.ts';
import { cinderArray } from '../../src/arrays/cinder.ts';
import { openStackClient } from '../../src/clients/openstack/index.ts';
import type { CallOptions } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { createSource } from '../../src/arrays/files/source.ts';
import { scanRuns } from '../../src/arrays/files/run-readers.ts';
import { createTarget } from '../../src/arrays/files/target.ts';
import { collect, pattern } from '../../src/testing/storage-array/helpers.ts';

const call: CallOptions = { signal: new AbortController().signal };
const run = promisify(execFile);
const MIB = 2 ** 20;

/** As upstream's LVM driver answers, with CHAP. */
const ISCSI = {
  driver_volume_type: 'iscsi',
  target_iqn: 'iqn.2010-10.org.openstack:volume-1',
  auth_method: 'CHAP',
  auth_username: 'fafnir',
  auth_password: 'n0body-knows',
  attachment_id: 'a',
};

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'fafnir-attached-'));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

/** A block device of a file, or why there is none. */
async function loopDevice(file: string): Promise<{ readonly device?: string; readonly skipped: string }> {
  try {
    const { stdout } = await run('losetup', ['--find', '--show', file]);
    const device = stdout.trim();
    onTestFinished(async () => {
      await run('losetup', ['--detach', device]);
    });
    return { device, skipped: '' };
  } catch (error) {
    return { skipped: `needs root and loop devices (losetup of util-linux): ${(error as Error).message}` };
  }
}

describe('the path attached', () => {
  const client = openStackClient({
    authUrl: 'http://127.0.0.1:9',
    credentials: { type: 'token', token: 'none' },
  });
  const arrayBy = (path: object) =>
    cinderArray({
      name: 'cinder',
      client,
      volumeType: 'fast',
      paths: [{ kind: 'attached', ...path }] as never,
    });

  test('reads and writes, and finds zeros by reading', async () => {
    const array = arrayBy({ connector: { host: 'mover', initiator: 'iqn.a', multipath: false } });
    expect(await array.capabilities(call)).toMatchObject({ changeBase: 'none', extents: 'scan' });
    expect(array.target).toBeDefined();
  });

  test.each<[string, object]>([
    ['no connector', {}],
    ['a connector without a host', { connector: { initiator: 'iqn.a' } }],
    ['a host that is no line', { connector: { host: 'a\nb' } }],
    ['a connector that is no JSON', { connector: { host: 'mover', connect: () => undefined } }],
    ['a connect that is none', { connector: { host: 'mover' }, connect: '/usr/bin/brick' }],
    ['something else', { connector: { host: 'mover' }, device: '/dev/sdb' }],
  ])('%s is refused', (_, path) => {
    expect(() => arrayBy(path)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
  });
});

describe('a connection', () => {
  test('is parted as os-brick takes it', () => {
    const { driver_volume_type: type, ...data } = ISCSI;
    expect(parseConnection('volume a', ISCSI)).toEqual({ type, data });
  });

  test.each([
    undefined,
    null,
    {},
    'local',
    { driver_volume_type: 7 },
    { driver_volume_type: 'a b' },
    { ...ISCSI, driver_volume_type: '' },
  ])('that Cinder does not tell is refused, and not repeated: %j', (info) => {
    expect(() => parseConnection('volume a', info)).toThrow(
      expect.objectContaining({
        code: 'WRONG_ANSWER',
        message: 'Cinder does not say how to connect volume a',
      }),
    );
  });

  test('of the type local is a path, and any other needs connect', async () => {
    const local = (data: object) => connectLocal({ type: 'local', data: data as never }, call);
    await using connected = await local({ device_path: '/dev/mapper/a' });
    expect(connected.path).toBe('/dev/mapper/a');
    for (const data of [{}, { device_path: 7 }, { device_path: 'a' }, { device_path: '/a\nb' }]) {
      await expect(local(data)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    }
    await expect(connectLocal(parseConnection('volume a', ISCSI), call)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'the backend connects volumes by iscsi, and the path has no connect',
      hint: expect.stringContaining('option connect'),
    });
  });

  test.each([
    ['itself', () => new Error(`login with ${ISCSI.auth_password} failed`)],
    [
      'in what it is caused by',
      () => new Error('failed', { cause: { command: ['-p', ISCSI.auth_password] } }),
    ],
    ['as the error of a plugin', () => new FafnirError('UNAVAILABLE', ISCSI.auth_password)],
  ])('that fails tells no secret: %s', async (_, fail) => {
    const connection = parseConnection('volume a', ISCSI);
    const connecting = connectVolume('volume a', connection, () => Promise.reject(fail()), call);
    const refused = await connecting.catch((error: unknown) => error as FafnirError);
    expect(refused).toMatchObject({
      code: FafnirError.is(fail()) ? 'UNAVAILABLE' : 'PLUGIN_FAILED',
      message:
        'cannot connect volume a by iscsi: the error tells a secret of the connection, and is left out',
    });
    expect((refused as FafnirError).cause).toBeUndefined();
  });

  test('that fails otherwise says why, also when it ends', async () => {
    const connection = parseConnection('volume a', ISCSI);
    const broken = async () => {
      throw new Error('no route to fafnir');
    };
    await expect(connectVolume('volume a', connection, broken, call)).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: 'cannot connect volume a by iscsi: no route to fafnir',
    });
    const stuck = async () => ({ path: '/dev/a', [Symbol.asyncDispose]: broken });
    const connected = await connectVolume('volume a', connection, stuck, call);
    await expect(connected[Symbol.asyncDispose]()).rejects.toMatchObject({
      message: 'cannot disconnect volume a by iscsi: no route to fafnir',
    });
  });
});

describe('a block device', () => {
  test('is read and written as a volume of its size', async ({ skip }) => {
    const file = join(await folder(), 'volume.raw');
    await writeFile(file, pattern(MIB, 1).fill(0, 65_536, 131_072));
    const { device, skipped } = await loopDevice(file);
    if (device === undefined) return skip(skipped);
    const handle = (flags: number) => open(device, flags | constants.O_NONBLOCK);
    for (const size of [MIB - 512, MIB + 512]) {
      await expect(openRaw('a', await handle(constants.O_RDONLY), size, call)).rejects.toMatchObject({
        code: 'WRONG_ANSWER',
        message: `the file of a has ${MIB} bytes, not ${size}`,
      });
    }
    {
      const flags = constants.O_RDWR | constants.O_EXCL;
      await using target = createTarget(await openRaw('a', await handle(flags), MIB, call), false);
      await target.write(1_000, pattern(5_000, 2), call);
      await target.flush(call);
      await expect(target.write(MIB, pattern(1, 1), call)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    }
    const opened = await openRaw('a', await handle(constants.O_RDONLY), MIB, call);
    await using source = createSource(opened, scanRuns);
    expect(await collect(source.extents(call))).toEqual([
      { offset: 0, length: 65_536, kind: 'data' },
      { offset: 65_536, length: 65_536, kind: 'zero' },
      { offset: 131_072, length: MIB - 131_072, kind: 'data' },
    ]);
    const back = Buffer.alloc(5_000);
    await source.readInto(1_000, back, call);
    expect(back.equals(pattern(5_000, 2))).toBe(true);
  });

  test('is not what is neither that nor a file', async () => {
    const device = await open('/dev/zero');
    await expect(openRaw('a', device, MIB, call)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    await expect(device.stat()).rejects.toThrow('closed');
  });
});

describe('users of a snapshot', () => {
  test('begin one after the other, and what they use ends with the last of them', async () => {
    const told: string[] = [];
    const users = createUsers(async (id) => {
      told.push(`end ${id}`);
    });
    const work = (name: string) => async () => {
      told.push(`begin ${name}`);
      await new Promise((resolve) => setImmediate(resolve));
      told.push(`began ${name}`);
      if (name === 'broken') throw new Error(name);
    };
    await Promise.all([
      users.enter('snap', work('one')),
      expect(users.enter('snap', work('broken'))).rejects.toThrow('broken'),
      users.enter('snap', work('other')),
    ]);
    expect(told).toEqual(['one', 'broken', 'other'].flatMap((name) => [`begin ${name}`, `began ${name}`]));
    await users.leave('snap');
    expect(told).not.toContain('end snap');
    await users.leave('snap');
    expect(told.at(-1)).toBe('end snap');
    await expect(users.enter('snap', work('broken'))).rejects.toThrow('broken');
    expect(told.slice(-3)).toEqual(['begin broken', 'began broken', 'end snap']);
  });
});
