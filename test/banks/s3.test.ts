import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type S3BankOptions, s3Bank } from '../../src/banks/s3.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { refuse, SmallS3 } from './s3-service.ts';

const MEBIBYTE = 1024 ** 2;
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const replacing = { ...live, ifAbsent: false };
const whole = { limit: 64 * MEBIBYTE };
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const credentials = {
  accessKeyId: 'the-access-key-id',
  secretAccessKey: 'the-SECRET-key',
  sessionToken: 'the-session-TOKEN',
};

let service: SmallS3;
let endpoint: string;
let bank: Bank;
const open = (more: Partial<S3BankOptions> = {}): Bank =>
  s3Bank({ name: 's3', bucket: 'vault', region: 'us-east-1', endpoint, credentials, ...more });

beforeEach(async () => {
  service = new SmallS3();
  endpoint = await service.start();
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

const source = new URL('../../src/banks/s3.ts', import.meta.url);

/** Runs code in a process of its own. */
async function run(code: string): Promise<{ readonly status: unknown; readonly said: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code]);
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => said.push(data));
  const [status] = await once(child, 'close');
  return { status, said: Buffer.concat(said).toString() };
}

describe('what goes over the wire', () => {
  test('nothing before the first call', async () => {
    expect(service.received).toEqual([]);
  });

  test('a body in parts, of known length and digest and with no trailer', async () => {
    await bank.put('a/b', [text('one,'), text(''), text('two')], replacing);
    expect(service.objects.get('a/b')?.toString()).toBe('one,two');
    const { headers } = service.received[0] ?? expect.fail();
    expect(headers['content-length']).toBe('7');
    expect(headers['content-md5']).toBe(createHash('md5').update('one,two').digest('base64'));
    expect(headers['transfer-encoding']).toBeUndefined();
    expect(headers.expect).toBeUndefined();
    expect(Object.keys(headers).filter((name) => /checksum|trailer/.test(name))).toEqual([]);
  });

  test('keys below the prefix alone', async () => {
    const inner = open({ prefix: 'fafnir/prod' });
    service.objects.set('other', Buffer.from('other'));
    service.objects.set('fafnir/prodigy', Buffer.from('other'));
    await inner.put('a', text('body'), creating);
    expect([...service.objects.keys()].sort()).toEqual([
      'fafnir/prod/a',
      'fafnir/prod/~probe',
      'fafnir/prodigy',
      'other',
    ]);
    expect(await keys('', inner)).toEqual(['a']);
    await inner.remove(['a'], live);
    expect(await inner.head('a', live)).toBeUndefined();
  });

  test('removals by the thousand, with the digest that older services ask for', async () => {
    const many = Array.from({ length: 2_500 }, (_, index) => `many/${index}`);
    for (const key of many) service.objects.set(key, Buffer.from(key));
    await bank.remove([...many, ...many.slice(0, 10)], live);
    expect(service.objects.size).toBe(0);
    expect(service.count('POST')).toBe(3);
    for (const { headers } of service.received) {
      expect(headers['content-md5']).toBeTypeOf('string');
      expect(headers['x-amz-checksum-crc32']).toBeUndefined();
    }
  });

  test('credentials that a function gives, asked for once', async () => {
    let asked = 0;
    const asking = open({
      credentials: async () => {
        asked += 1;
        return credentials;
      },
    });
    await asking.put('a', text('a'), replacing);
    await asking.get('a', whole, live);
    expect(asked).toBe(1);
    expect(service.received[0]?.headers['x-amz-security-token']).toBe(credentials.sessionToken);
    expect(Object.keys(credentials)).toEqual(['accessKeyId', 'secretAccessKey', 'sessionToken']);
  });
});

test('credentials that end soon are asked for again', async () => {
  let asked = 0;
  const asking = open({
    credentials: async () => {
      asked += 1;
      return { ...credentials, expiration: new Date(Date.now() + 1_000), accessKeyId: `key-${asked}` };
    },
  });
  await asking.head('a', live);
  const before = asked;
  await asking.head('a', live);
  expect(asked).toBeGreaterThan(before);
});

test('a host whose clock is wrong is told once, and signs by the clock of the service', async () => {
  const hour = 3_600_000;
  service.fault = ({ headers }, _, response) => {
    const [, date, time] = /^(\d{8})T(\d{6})Z$/.exec(String(headers['x-amz-date'])) ?? [];
    const signed = Date.parse(
      `${date?.replace(/(....)(..)/, '$1-$2-')}T${time?.replace(/(..)(..)/, '$1:$2:')}Z`,
    );
    const now = new Date(Date.now() + hour);
    const isSkewed = Math.abs(signed - now.getTime()) > hour / 2;
    return isSkewed && refuse(response, 403, 'RequestTimeTooSkewed', { date: now.toUTCString() });
  };
  expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'NOT_FOUND' });
});

describe('conditional creation', () => {
  test('is tried once for all callers, one of whom goes', async () => {
    const caller = new AbortController();
    const reason = new Error('gone');
    const put = (key: string, signal = live.signal) => bank.put(key, text(key), { signal, ifAbsent: true });
    const outcomes = Promise.allSettled([put('a', caller.signal), put('b'), put('b')]);
    caller.abort(reason);
    const [first, ...others] = await outcomes;
    expect(first).toEqual({ status: 'rejected', reason });
    expect(others.map((one) => one.status === 'fulfilled' && one.value).sort()).toEqual([
      'created',
      'exists',
    ]);
    expect(service.count('PUT', '~probe')).toBe(2);
    expect(await open().put('b', text('c'), creating)).toBe('exists');
    expect(service.count('PUT', '~probe')).toBe(3);
  });

  test('is refused by name where the service does not heed it, before anything is written', async () => {
    service.heedsConditions = false;
    service.objects.set('a', Buffer.from('first'));
    const error = await failure(bank.put('a', text('second'), creating));
    expect(error).toMatchObject({ code: 'UNSUPPORTED', hint: expect.stringContaining('best-effort') });
    expect(service.objects.get('a')?.toString()).toBe('first');
  });

  test('is refused by name where the service refuses it', async () => {
    service.fault = ({ headers }, _, response) =>
      headers['if-none-match'] === '*' && refuse(response, 501, 'NotImplemented');
    const error = await failure(bank.put('a', text('a'), creating));
    expect(error).toMatchObject({ code: 'UNSUPPORTED', hint: expect.stringContaining('best-effort') });
  });

  test('is tried again after it could not be tried', async () => {
    service.fault = (_, __, response) => refuse(response, 503, 'SlowDown');
    expect(await failure(bank.put('a', text('a'), creating))).toMatchObject({ code: 'UNAVAILABLE' });
    service.fault = () => false;
    expect(await bank.put('a', text('a'), creating)).toBe('created');
  });

  test('looks before it writes where best-effort is declared', async () => {
    service.heedsConditions = false;
    const looking = open({ conditionalCreate: 'best-effort' });
    expect(looking.capabilities.conditionalCreate).toBe('best-effort');
    expect(await looking.put('a', text('first'), creating)).toBe('created');
    expect(await looking.put('a', text('second'), creating)).toBe('exists');
    expect(service.objects.get('a')?.toString()).toBe('first');
    expect(service.objects.has('~probe')).toBe(false);
  });

  test('that meets another one answers by what is there', async () => {
    await bank.put('first', text('first'), creating);
    service.fault = ({ method }, _, response) =>
      method === 'PUT' && refuse(response, 409, 'ConditionalRequestConflict');
    expect(await bank.put('first', text('second'), creating)).toBe('exists');
    const error = await failure(bank.put('absent', text('absent'), creating));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });
});

describe('refusals', () => {
  test.each([
    [503, 'SlowDown', 'UNAVAILABLE', true],
    [429, 'TooManyRequests', 'UNAVAILABLE', true],
    [500, 'InternalError', 'UNAVAILABLE', true],
    [400, 'RequestTimeout', 'UNAVAILABLE', true],
    [403, 'AccessDenied', 'ACCESS_DENIED', false],
    [403, 'InvalidAccessKeyId', 'ACCESS_DENIED', false],
    [400, 'ExpiredToken', 'ACCESS_DENIED', false],
    [403, 'QuotaExceeded', 'NO_SPACE', true],
    [507, 'XMinioStorageFull', 'NO_SPACE', true],
    [400, 'EntityTooLarge', 'LIMIT_EXCEEDED', false],
    [301, 'PermanentRedirect', 'INVALID_OPTIONS', false],
    [404, 'NoSuchBucket', 'INVALID_OPTIONS', false],
    [501, 'NotImplemented', 'UNSUPPORTED', false],
    [400, 'SomethingNew', 'PLUGIN_FAILED', false],
  ] as const)('%i %s is %s', async (status, name, code, retryable) => {
    service.fault = (_, __, response) => refuse(response, status, name);
    const error = await failure(bank.put('a', text('a'), replacing));
    expect(error).toMatchObject({ code, retryable, cause: { name } });
    expect(error.message).toContain('a in the bucket vault');
    expect(service.received).toHaveLength(1);
  });

  test.each([
    [{ 'retry-after': '7' }, 7_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 10:00:30 GMT', date: 'Sat, 21 Nov 2026 10:00:00 GMT' }, 30_000],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('a pause is passed on: %o', async (headers, milliseconds) => {
    service.fault = (_, __, response) => refuse(response, 503, 'SlowDown', headers);
    const error = await failure(bank.get('a', whole, live));
    expect(error.retryAfterMilliseconds).toBe(milliseconds);
    expect(service.received).toHaveLength(1);
  });

  test('without a message are named by their code', async () => {
    service.fault = (_, __, response) => {
      response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return true;
    };
    const { message } = await failure(bank.get('a', whole, live));
    expect(message).toBe(`cannot read a in the bucket vault at ${endpoint}: AccessDenied`);
  });

  test('a page of a proxy in place of an answer', async () => {
    service.fault = (_, __, response) => {
      response
        .writeHead(502, { 'content-type': 'text/html' })
        .end('<html><body>Bad gateway<br></body></html>');
      return true;
    };
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  test('a missing bucket is no missing object', async () => {
    const lost = open({ bucket: 'lost' });
    for (const work of [
      () => lost.get('a', whole, live),
      () => lost.get('a', { offset: 0, length: 0 }, live),
      () => lost.head('a', live),
      () => lost.put('a', text('a'), creating),
      () => lost.remove(['a'], live),
      () => keys('', lost),
    ]) {
      expect(await failure(work())).toMatchObject({ code: 'INVALID_OPTIONS', retryable: false });
    }
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await bank.head('a', live)).toBeUndefined();
  });

  test('of one key among those to remove', async () => {
    for (const key of ['a', 'kept', 'z']) service.objects.set(key, Buffer.from(key));
    const error = await failure(bank.remove(['a', 'kept', 'z'], live));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED', message: expect.stringContaining('kept') });
    expect([...service.objects.keys()]).toEqual(['kept']);
  });

  test('that say a key to remove was not there are none', async () => {
    service.fault = ({ method }, _, response) => {
      if (method !== 'POST') return false;
      response.end('<DeleteResult><Error><Key>a</Key><Code>NoSuchKey</Code></Error></DeleteResult>');
      return true;
    };
    await bank.remove(['a'], live);
  });
});

describe('broken connections', () => {
  test('a reset in the middle of an answer', async () => {
    service.fault = (_, __, response) => {
      response.writeHead(200, { 'content-length': 1_000_000 });
      response.write(Buffer.alloc(1_000), () => response.destroy());
      return true;
    };
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  test('a reset in the middle of a body', async () => {
    service.fault = (_, request, response) => {
      request.once('data', () => response.destroy());
      return true;
    };
    const error = await failure(bank.put('a', new Uint8Array(8 * MEBIBYTE), replacing));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  test('a service that does not listen', async () => {
    await service.stop();
    expect(await failure(bank.head('a', live))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await service.start();
  });

  test.each(['before the answer', 'in the middle of it'])('a silence %s', async (when) => {
    service.fault = (_, __, response) => {
      if (when !== 'before the answer')
        response.writeHead(200, { 'content-length': 1_000 }).write('beginning');
      return true;
    };
    const impatient = open({ idleTimeoutMilliseconds: 100 });
    expect(await failure(impatient.get('a', whole, live))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
  });

  test('an abort reaches the service', async () => {
    const caller = new AbortController();
    const reason = new Error('gone');
    const closed = Promise.withResolvers<void>();
    service.fault = (_, request) => {
      request.once('close', () => closed.resolve());
      caller.abort(reason);
      return true;
    };
    await expect(bank.get('a', whole, { signal: caller.signal })).rejects.toBe(reason);
    await closed.promise;
  });

  test('an abort need not wait for the credentials', async () => {
    const caller = new AbortController();
    const reason = new Error('gone');
    const stuck = open({
      credentials: () => {
        caller.abort(reason);
        return new Promise(() => undefined);
      },
    });
    await expect(stuck.head('a', { signal: caller.signal })).rejects.toBe(reason);
    expect(service.received).toEqual([]);
  });
});

describe('wrong answers', () => {
  const etag = (value: string, more: Record<string, string> = {}) => {
    service.fault = ({ method }, request, response) => {
      if (method !== 'PUT') return false;
      request.resume().once('end', () => response.writeHead(200, { etag: value, ...more }).end());
      return true;
    };
  };

  test('a digest of other bytes', async () => {
    etag(`"${'0'.repeat(32)}"`);
    const error = await failure(bank.put('a', text('a'), replacing));
    expect(error).toMatchObject({ code: 'NOT_PROVEN', retryable: false });
  });

  test('but an ETag that is no digest says nothing', async () => {
    etag('"opaque"');
    expect(await bank.put('a', text('a'), replacing)).toBe('created');
    etag(`"${'0'.repeat(32)}"`, { 'x-amz-server-side-encryption': 'aws:kms' });
    expect(await bank.put('a', text('a'), replacing)).toBe('created');
  });

  test('the whole object in place of a range', async () => {
    service.fault = (_, __, response) => {
      response.writeHead(200, { 'content-length': 10 }).end('0123456789');
      return true;
    };
    for (const range of [
      { offset: 2, length: 3 },
      { offset: 0, length: 3 },
    ]) {
      expect(await failure(bank.get('a', range, live))).toMatchObject({ code: 'WRONG_ANSWER' });
    }
    expect(Buffer.from(await bank.get('a', { offset: 0, length: 10 }, live)).toString()).toBe('0123456789');
  });

  test('an object above the limit is not read', async () => {
    const closed = Promise.withResolvers<void>();
    service.fault = (_, request, response) => {
      request.socket.once('close', () => closed.resolve());
      response.writeHead(200, { 'content-length': 1024 ** 3 }).write('beginning');
      return true;
    };
    expect(await failure(bank.get('a', whole, live))).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await closed.promise;
  });
});

describe('lists', () => {
  test('pass over keys of others, whatever they are made of', async () => {
    const ours = ['a', 'a=b', 'b/c', 'c.d', 'z'];
    const others = [
      'a b',
      'a+b',
      'a%2Fb',
      'b\u0001',
      'b\r',
      'b&<c>',
      ' ',
      'c/',
      'c//d',
      'é',
      '~probe',
      '\u{1f600}',
    ];
    for (const key of [...ours, ...others]) service.objects.set(key, Buffer.from(key));
    for (const pageSize of [1, 2, 3, 1_000]) {
      service.pageSize = pageSize;
      expect(await keys()).toEqual(ours);
      expect(await keys('a')).toEqual(['a', 'a=b']);
    }
  });

  test('ask for no page that nobody wants', async () => {
    service.pageSize = 2;
    for (const key of ['a', 'b', 'c', 'd', 'e']) service.objects.set(key, Buffer.from(key));
    for await (const { key } of bank.list('', live)) if (key === 'b') break;
    expect(service.count('GET')).toBe(1);
  });

  test('that do not get on are refused', async () => {
    const contents = '<Contents><Key>b</Key><Size>1</Size></Contents><Contents><Key>a</Key></Contents>';
    for (const inner of [contents, '', '<EncodingType>url</EncodingType><Contents><Key>%</Key></Contents>']) {
      service.fault = (_, __, response) => {
        response.end(`<ListBucketResult><IsTruncated>true</IsTruncated>${inner}</ListBucketResult>`);
        return true;
      };
      expect(await failure(keys())).toMatchObject({ code: 'WRONG_ANSWER' });
    }
  });
});

describe('large bodies', () => {
  // Two parts of 32 MiB and one of 1 byte, across the borders of what is given.
  const body = [Buffer.alloc(40 * MEBIBYTE, 'a'), Buffer.alloc(24 * MEBIBYTE, 'b'), Buffer.from('c')];

  test('go in parts above 64 MiB, in one piece below', async () => {
    await bank.put('large', body, replacing);
    expect(service.objects.get('large')?.equals(Buffer.concat(body))).toBe(true);
    expect(service.received.filter(({ url }) => url.searchParams.has('partNumber'))).toHaveLength(3);
    expect(service.uploads.size).toBe(0);
    service.received.length = 0;
    await bank.put('less', body.slice(0, 2), replacing);
    expect(service.received).toHaveLength(1);
  });

  test('are created in one piece, since the end of an upload heeds no condition', async () => {
    expect(await bank.put('large', body, creating)).toBe('created');
    expect(await bank.put('large', body, creating)).toBe('exists');
    expect(service.received.filter(({ url }) => url.searchParams.has('uploads'))).toEqual([]);
    expect(service.objects.get('large')).toHaveLength(64 * MEBIBYTE + 1);
  });

  test('leave no parts when one is refused', async () => {
    service.fault = ({ url }, _, response) =>
      url.searchParams.get('partNumber') === '2' && refuse(response, 500, 'InternalError');
    expect(await failure(bank.put('large', body, replacing))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(service.uploads.size).toBe(0);
    expect(service.objects.size).toBe(0);
  });

  test('leave no parts when the end is refused in an answer that began well', async () => {
    service.fault = ({ method, url }, _, response) => {
      if (method !== 'POST' || !url.searchParams.has('uploadId')) return false;
      response.end('<Error><Code>InternalError</Code><Message>later</Message></Error>');
      return true;
    };
    const error = await failure(bank.put('large', body, replacing));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(service.uploads.size).toBe(0);
  });

  test.each([
    ['while the upload begins', 'uploads', ''],
    ['in the middle', 'partNumber', '2'],
  ])('leave no parts when the caller goes %s', async (_, parameter, value) => {
    const caller = new AbortController();
    const reason = new Error('gone');
    service.fault = ({ url }) => {
      if (url.searchParams.get(parameter) === value) caller.abort(reason);
      return false;
    };
    const put = bank.put('large', body, { signal: caller.signal, ifAbsent: false });
    await expect(put).rejects.toBe(reason);
    expect(service.uploads.size).toBe(0);
    expect(service.objects.size).toBe(0);
  });

  test('name the upload whose parts could not be taken away', async () => {
    service.fault = ({ method, url }, _, response) =>
      (method === 'DELETE' || url.searchParams.get('partNumber') === '2') &&
      refuse(response, 403, 'AccessDenied');
    const error = await failure(bank.put('large', body, replacing));
    const [id] = service.uploads.keys();
    expect(error.message).toContain(id);
    expect(error.cause).toMatchObject({ code: 'ACCESS_DENIED' });
  });

  test('above what the bank takes are refused before they are sent', async () => {
    const gibibyte = new Uint8Array(1024 ** 3);
    const error = await failure(bank.put('huge', [gibibyte, text('.')], replacing));
    expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(service.received).toEqual([]);
  });
});

describe('secrets', () => {
  const shown = (value: unknown): string =>
    inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true });
  const expectNoSecret = (value: unknown): void => {
    expect(shown(value)).not.toContain(credentials.secretAccessKey);
    expect(shown(value)).not.toContain(credentials.sessionToken);
    expect(shown(value)).not.toContain('Signature=');
  };

  test('are in no error, even where the service repeats them', async () => {
    const { secretAccessKey, sessionToken } = credentials;
    const repeated = `<Message>no ${sessionToken} and ${secretAccessKey}</Message><Token-0>${sessionToken}</Token-0>`;
    service.fault = (_, __, response) => {
      response.writeHead(400).end(`<Error><Code>InvalidToken</Code>${repeated}</Error>`);
      return true;
    };
    for (const work of [
      () => bank.get('a', whole, live),
      () => bank.put('a', text('a'), creating),
      () => bank.head('a', live),
      () => bank.remove(['a'], live),
      () => keys(),
    ]) {
      expectNoSecret(await failure(work()));
    }
    service.fault = (_, request) => request.socket.destroy() !== undefined;
    expectNoSecret(await failure(bank.get('a', whole, live)));
  });

  test('are not in what the credentials function fails with', async () => {
    const failing = open({
      credentials: () => Promise.reject(new Error(`no luck with ${credentials.secretAccessKey}`)),
    });
    const error = await failure(failing.head('a', live));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expectNoSecret(error);
    const own = new FafnirError('UNAVAILABLE', 'the vault is sealed');
    expect(await failure(open({ credentials: () => Promise.reject(own) }).head('a', live))).toBe(own);
  });

  test('are not in the bank, nor in what is said of its options', async () => {
    await bank.put('a', text('a'), replacing);
    expectNoSecret(bank);
    const { secretAccessKey } = credentials;
    for (const more of [
      { credentials: { secretAccessKey } },
      { credentials: { ...credentials, accessKeyId: 7 } },
      { endpoint: `https://user:${secretAccessKey}@s3.example.org` },
    ]) {
      const refused = Promise.resolve().then(() => open(more as unknown as Partial<S3BankOptions>));
      const error = await failure(refused);
      expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
      expectNoSecret(error);
    }
  });
});

test.each([
  [{ bucket: 'a/b' }, 'bucket'],
  [{ endpoint: 's3.example.org' }, 'endpoint'],
  [{ endpoint: 'ftp://s3.example.org' }, 'endpoint'],
  [{ prefix: 'a/' }, 'prefix'],
  [{ prefix: `${'a/'.repeat(255)}ab` }, 'prefix'],
  [{ region: 'us east' }, 'region'],
  [{ conditionalCreate: 'none' }, 'conditionalCreate'],
  [{ listingDelayMilliseconds: -1 }, 'listingDelayMilliseconds'],
  [{ bukket: 'a' }, 'bukket'],
])('refuses the options %o', async (more, named) => {
  const refused = Promise.resolve().then(() => open(more as unknown as Partial<S3BankOptions>));
  expect(await failure(refused)).toMatchObject({
    code: 'INVALID_OPTIONS',
    message: expect.stringContaining(named),
  });
});

test('says what to install where the SDK is missing', async () => {
  const code = `
    const { registerHooks } = await import('node:module');
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier.startsWith('@aws-sdk/')) throw new Error('Cannot find package');
        return next(specifier, context);
      },
    });
    const { s3Bank } = await import(${JSON.stringify(source)});
    const bank = s3Bank(${JSON.stringify({ name: 's3', bucket: 'vault', region: 'us-east-1', credentials })});
    const call = { signal: new AbortController().signal, ifAbsent: true };
    const { code, hint } = await bank.put('a', new Uint8Array(1), call).catch((error) => error);
    console.log(code, hint);`;
  expect(await run(code)).toEqual({
    status: 0,
    said: 'UNSUPPORTED Add it to the host: npm install @aws-sdk/client-s3\n',
  });
});

test('writes nothing to the console of the host', async () => {
  const options = { name: 's3', bucket: 'vault', region: 'us-east-1', endpoint, credentials };
  const code = `
    const { s3Bank } = await import(${JSON.stringify(source)});
    const bank = s3Bank(${JSON.stringify(options)});
    const call = { signal: new AbortController().signal, ifAbsent: false };
    await Promise.allSettled(Array.from({ length: 20 }, (_, at) => bank.put('k' + at, new Uint8Array(9), call)));`;
  service.fault = (_, __, response) => refuse(response, 503, 'SlowDown');
  expect(await run(code)).toEqual({ status: 0, said: '' });
});
