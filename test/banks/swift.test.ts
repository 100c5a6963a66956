import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type SwiftBankOptions, swiftBank } from '../../src/banks/swift.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { KEY, refuse, SmallSwift } from './swift-service.ts';

const MEBIBYTE = 1024 ** 2;
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const replacing = { ...live, ifAbsent: false };
const whole = { limit: 64 * MEBIBYTE };
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const password = {
  type: 'password',
  user: { name: 'ann' },
  password: KEY,
  project: { name: 'shop' },
} as const;
const tempAuth = { type: 'tempauth', user: 'shop:ann', key: KEY } as const;

let service: SmallSwift;
let bank: Bank;
const open = (more: Partial<SwiftBankOptions> = {}): Bank =>
  swiftBank({ name: 'swift', container: 'vault', authUrl: service.url, credentials: password, ...more });

beforeEach(async () => {
  service = new SmallSwift();
  await service.start();
  bank = open();
});
afterEach(() => service.stop());

async function keys(prefix = '', from = bank): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of from.list(prefix, live)) found.push(key);
  return found;
}

async function failure(work: Promise<unknown>): Promise<FafnirError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!FafnirError.is(error)) throw new Error(`wanted a FafnirError, got ${inspect(error)}`);
  return error;
}

/** Answers requests of one method with a status and nothing more. */
function answering(method: string, answer: (response: ServerResponse) => void): void {
  service.fault = (received, request, response) => {
    if (received.method !== method) return false;
    request.resume();
    answer(response);
    return true;
  };
}

describe('what goes over the wire', () => {
  test('nothing before the first call, and one token for many', async () => {
    expect(service.authentications + service.received.length).toBe(0);
    await Promise.all([bank.head('a', live), bank.head('b', live), keys()]);
    expect(service.authentications).toBe(1);
  });

  test('a body in parts, of known length and digest', async () => {
    await bank.put('a/b=c', [text('one,'), text(''), text('two')], replacing);
    expect(service.objects.get('a/b=c')?.toString()).toBe('one,two');
    const { headers } = service.received[0] ?? expect.fail();
    expect(headers['content-length']).toBe('7');
    expect(headers['transfer-encoding']).toBeUndefined();
    expect(headers.etag).toBe(createHash('md5').update('one,two').digest('hex'));
    expect(headers['if-none-match']).toBeUndefined();
  });

  test('32 MiB up and down, whole and in ranges', async () => {
    const body = Array.from({ length: 8 }, (_, at) => Buffer.alloc(4 * MEBIBYTE, at + 1));
    await bank.put('large', body, creating);
    expect(Buffer.concat(body).equals(await bank.get('large', whole, live))).toBe(true);
    const middle = await bank.get('large', { offset: 4 * MEBIBYTE - 1, length: 2 }, live);
    expect([...middle]).toEqual([1, 2]);
  });

  test('keys below the prefix alone', async () => {
    const inner = open({ prefix: 'fafnir/prod' });
    service.objects.set('fafnir/prodigy', Buffer.from('other'));
    await inner.put('a', text('body'), creating);
    expect([...service.objects.keys()].sort()).toEqual(['fafnir/prod/a', 'fafnir/prodigy']);
    expect(await keys('', inner)).toEqual(['a']);
    await inner.remove(['a'], live);
    expect(await inner.head('a', live)).toBeUndefined();
  });
});

describe('authentication', () => {
  test("of Swift's own", async () => {
    const own = open({ authUrl: `${service.url}/auth/v1.0`, credentials: tempAuth });
    await own.put('a', text('a'), creating);
    expect(await keys('', own)).toEqual(['a']);
    expect(service.authentications).toBe(1);
  });

  test.each([
    ['Keystone', () => open({ credentials: { ...password, password: 'WRONG-key' } })],
    [
      'Swift itself',
      () => open({ authUrl: `${service.url}/auth/v1.0`, credentials: { ...tempAuth, key: 'WRONG-key' } }),
    ],
  ])('is refused by %s, and no message has the secret', async (_, wrong) => {
    for (const work of [() => wrong().get('a', whole, live), () => wrong().put('a', text('a'), creating)]) {
      const error = await failure(work());
      expect(error).toMatchObject({ code: 'ACCESS_DENIED', retryable: false });
      expect(inspect(error, { depth: 9 })).not.toContain('WRONG-key');
    }
  });

  test('at an address where nobody authenticates is no missing object', async () => {
    const lost = open({ authUrl: `${service.url}/v1/AUTH_shop/nowhere`, credentials: tempAuth });
    service.fault = (_, __, response) => refuse(response, 404, 'Not Found');
    expect(await failure(lost.get('a', whole, live))).toMatchObject({ code: 'ACCESS_DENIED' });
    service.fault = (_, __, response) => response.writeHead(200).end('welcome') !== undefined;
    expect(await failure(lost.head('a', live))).toMatchObject({ code: 'WRONG_ANSWER' });
  });

  test('is renewed when a token is refused, and the body is sent again', async () => {
    await bank.head('a', live);
    service.token = 'another';
    expect(await bank.put('a', [text('one'), text('two')], replacing)).toBe('created');
    expect(service.objects.get('a')?.toString()).toBe('onetwo');
    expect(service.authentications).toBe(2);
  });
});

describe('ifAbsent', () => {
  test('looks before it sends a body, and leaves what is there', async () => {
    expect(await bank.put('a', text('first'), creating)).toBe('created');
    service.received.length = 0;
    expect(await bank.put('a', text('second'), creating)).toBe('exists');
    expect(service.methods('a')).toEqual(['HEAD']);
    expect(bank.capabilities.conditionalCreate).toBe('best-effort');
  });

  test('does not replace what somebody created in between', async () => {
    service.fault = ({ method, key }) => {
      if (method === 'PUT') service.objects.set(key, Buffer.from('first'));
      return false;
    };
    expect(await bank.put('a', text('second'), creating)).toBe('exists');
    expect(service.objects.get('a')?.toString()).toBe('first');
  });

  test('is answered by what is there where Swift knows something newer', async () => {
    service.fault = ({ method, key }, request, response) => {
      if (method !== 'PUT') return false;
      service.objects.set(key, Buffer.from('newer'));
      request.resume();
      response.writeHead(202).end();
      return true;
    };
    expect(await bank.put('a', text('older'), creating)).toBe('exists');
  });
});

describe('a put that Swift accepts and drops', () => {
  test('is sent again, to be the newest', async () => {
    let times = 0;
    service.fault = ({ method }, request, response) => {
      if (method !== 'PUT' || times === 2) return false;
      times += 1;
      request.resume();
      response.writeHead(202).end();
      return true;
    };
    expect(await bank.put('a', text('mine'), replacing)).toBe('created');
    expect(service.objects.get('a')?.toString()).toBe('mine');
  });

  test('is not called stored', async () => {
    answering('PUT', (response) => response.writeHead(202).end());
    for (const options of [replacing, creating]) {
      expect(await failure(bank.put('a', text('mine'), options))).toMatchObject({
        code: 'UNAVAILABLE',
        retryable: true,
      });
    }
  });
});

describe('refusals', () => {
  test.each([
    [401, 'Unauthorized', 'ACCESS_DENIED', false],
    [403, 'Forbidden', 'ACCESS_DENIED', false],
    [408, 'Request Timeout', 'UNAVAILABLE', true],
    [409, 'Conflict', 'BUSY', true],
    [413, 'Upload exceeds quota.', 'NO_SPACE', true],
    [413, 'Request Entity Too Large', 'LIMIT_EXCEEDED', false],
    [422, 'Unprocessable Entity', 'UNAVAILABLE', true],
    [429, 'Too Many Requests', 'UNAVAILABLE', true],
    [498, 'Rate Limited', 'UNAVAILABLE', true],
    [503, 'Service Unavailable', 'UNAVAILABLE', true],
    [507, 'Insufficient Storage', 'NO_SPACE', true],
  ])('%i %s is %s', async (status, said, code, retryable) => {
    answering('PUT', (response) => refuse(response, status, said));
    const error = await failure(bank.put('a', text('a'), creating));
    expect(error).toMatchObject({ code, retryable });
    expect(service.objects.has('a')).toBe(false);
    // The bank does not try again; what stacks on it does.
    expect(service.methods('a').filter((method) => method === 'PUT')).toHaveLength(status === 401 ? 2 : 1);
  });

  test('tell how long to wait', async () => {
    answering('GET', (response) => refuse(response, 503, 'Slow down', { 'retry-after': '7' }));
    expect((await failure(bank.get('a', whole, live))).retryAfterMilliseconds).toBe(7_000);
    expect((await failure(keys())).retryAfterMilliseconds).toBe(7_000);
  });

  test('are heard while a large body is under way', async () => {
    service.fault = ({ method }, _, response) =>
      method === 'PUT' && refuse(response, 413, 'Upload exceeds quota.');
    const body = Array.from({ length: 8 }, () => Buffer.alloc(4 * MEBIBYTE));
    expect(await failure(bank.put('a', body, creating))).toMatchObject({ code: 'NO_SPACE' });
    service.fault = () => false;
    expect(await bank.put('a', text('a'), creating)).toBe('created');
  });

  test('have no secret, whatever the service repeats', async () => {
    service.fault = ({ headers }, _, response) =>
      refuse(response, 400, `bad ${headers['x-auth-token']} of ${KEY}`);
    const error = await failure(bank.get('a', whole, live));
    expect(error.message).toContain('bad [secret] of [secret]');
    expect(inspect(error, { depth: 9 })).not.toMatch(/token-1|SECRET/);
  });

  test('of the container are no missing object', async () => {
    const lost = open({ container: 'nowhere' });
    for (const work of [
      () => lost.put('a', text('a'), creating),
      () => lost.put('a', text('a'), replacing),
      () => lost.get('a', whole, live),
      () => lost.get('a', { offset: 0, length: 1 }, live),
      () => lost.head('a', live),
      () => lost.remove(['a'], live),
      () => keys('', lost),
    ]) {
      const error = await failure(work());
      expect(error).toMatchObject({ code: 'INVALID_OPTIONS', hint: expect.stringContaining('container') });
    }
  });
});

describe('damage on the way', () => {
  test('up is found by Swift, or by what it answers', async () => {
    service.fault = ({ method, headers }) => {
      if (method === 'PUT') headers.etag = '0'.repeat(32);
      return false;
    };
    expect(await failure(bank.put('a', text('a'), replacing))).toMatchObject({ code: 'UNAVAILABLE' });
    answering('PUT', (response) => response.writeHead(201, { etag: `"${'0'.repeat(32)}"` }).end());
    const error = await failure(bank.put('a', text('a'), replacing));
    expect(error).toMatchObject({ code: 'NOT_PROVEN', retryable: false });
  });

  test('down is an answer cut short, without a length, or of another range', async () => {
    const getting = (headers: Record<string, string>, body: string, cut = false) =>
      answering('GET', (response) => {
        response.writeHead(headers['content-range'] === undefined ? 200 : 206, headers).write(body);
        if (cut) setImmediate(() => response.destroy());
        else response.end();
      });
    getting({ 'content-length': '10' }, '01234', true);
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'UNAVAILABLE' });
    getting({}, '01234');
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'WRONG_ANSWER' });
    const range = { offset: 2, length: 3 };
    getting({ 'content-length': '3', 'content-range': 'bytes 0-2/5' }, '012');
    expect(await failure(bank.get('a', range, live))).toMatchObject({ code: 'WRONG_ANSWER' });
    getting({ 'content-length': '5' }, '01234');
    expect(await failure(bank.get('a', range, live))).toMatchObject({ code: 'WRONG_ANSWER' });
  });

  test('an object above the limit is not read', async () => {
    let sent = 0;
    answering('GET', (response) => {
      response.writeHead(200, { 'content-length': String(1024 ** 3) });
      const piece = Buffer.alloc(MEBIBYTE);
      const more = (): void => {
        while (!response.destroyed && sent < 1024) {
          sent += 1;
          if (!response.write(piece)) return;
        }
      };
      response.on('drain', more);
      more();
    });
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(sent).toBeLessThan(1024);
  });
});

describe('lists', () => {
  test('go on to an empty page, whatever the service gives at once', async () => {
    const names = Array.from({ length: 25 }, (_, at) => `many/${String(at).padStart(2, '0')}`);
    for (const name of names) service.objects.set(name, Buffer.from(name));
    service.objects.set('many/not a key', Buffer.from(''));
    service.pageSize = 10;
    expect(await keys('many/')).toEqual(names);
    expect(await keys('many/1')).toEqual(names.filter((name) => name.startsWith('many/1')));
    const later: string[] = [];
    for await (const { key } of bank.list('many/', { ...live, after: 'many/22' })) later.push(key);
    expect(later).toEqual(['many/23', 'many/24']);
  });

  test.each([
    ['out of order', '[{"name":"b","bytes":1},{"name":"a","bytes":1}]'],
    ['of another shape', '{"objects":[]}'],
    ['without sizes', '[{"name":"a"}]'],
    ['that is no JSON', 'a\nb\n'],
  ])('refuse an answer %s', async (_, body) => {
    answering('GET', (response) => response.end(body));
    expect(await failure(keys())).toMatchObject({ code: 'WRONG_ANSWER' });
  });

  test('take no content for the end', async () => {
    answering('GET', (response) => response.writeHead(204).end());
    expect(await keys()).toEqual([]);
  });
});

test('removals need nothing to be there, but fail with the service', async () => {
  for (const key of ['a', 'b', 'c']) service.objects.set(key, Buffer.from(key));
  await bank.remove(['a', 'a', 'absent', 'b'], live);
  expect([...service.objects.keys()]).toEqual(['c']);
  expect(service.methods('a')).toEqual(['DELETE']);
  answering('DELETE', (response) => refuse(response, 503, 'Service Unavailable'));
  expect(await failure(bank.remove(['c', 'd', 'e'], live))).toMatchObject({ code: 'UNAVAILABLE' });
});

test('a caller who goes ends the request with the own reason', async () => {
  const caller = new AbortController();
  const reason = new Error('enough');
  const closed = new Promise<void>((resolve) => {
    service.fault = ({ method }, request, response) => {
      if (method !== 'PUT') return false;
      response.on('close', resolve);
      request.resume();
      caller.abort(reason);
      return true;
    };
  });
  const put = bank.put('a', Buffer.alloc(16 * MEBIBYTE), { signal: caller.signal, ifAbsent: false });
  await expect(put).rejects.toBe(reason);
  await closed;
});

test.each([
  ['a container with a slash', { container: 'a/b' }],
  ['a container that leads elsewhere', { container: '..' }],
  ['a prefix that is no key', { prefix: '/a' }],
  ['an address that is none', { authUrl: 'keystone' }],
  ['credentials of another kind', { credentials: { type: 'basic' } as never }],
  ['an unknown option', { bucket: 'a' } as never],
])('refuses %s', (_, more: Partial<SwiftBankOptions>) => {
  expect(() => open(more)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
});

test('keeps no process alive', async () => {
  const source = new URL('../../src/banks/swift.ts', import.meta.url);
  const options = { name: 'swift', container: 'vault', authUrl: service.url, credentials: password };
  const code = `
    import { swiftBank } from '${source}';
    const live = { signal: new AbortController().signal, ifAbsent: false };
    await swiftBank(${JSON.stringify(options)}).put('a', Buffer.from('a'), live);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: 'inherit' });
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(service.objects.has('a')).toBe(true);
});
