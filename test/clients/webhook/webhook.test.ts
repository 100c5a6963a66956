import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyWebhook, webhook, type WebhookOptions } from '../../../src/clients/webhook/index.ts';
import { followingRecord, NO_RECORDS } from '../../../src/core/audit.ts';
import type { TenantId } from '../../../src/core/contracts/index.ts';
import { failure } from '../../core/engine/world.ts';
import { newSecret, type Receiver, startReceiver } from './receiver.ts';

const record = followingRecord(
  'acme' as TenantId,
  { at: 1_700_000_000_000, actor: 'öps 🐉', action: 'plan.removed', object: { plan: 'p1' } },
  NO_RECORDS,
);
const MESSAGE = { id: 'msg_1', record };
const signal = new AbortController().signal;
const secret = newSecret();
let receiver: Receiver;

beforeEach(async () => {
  receiver = await startReceiver();
});

afterEach(() => receiver[Symbol.asyncDispose]());

const hook = (changes: Partial<WebhookOptions> = {}) =>
  webhook({
    name: 'billing',
    url: receiver.url,
    secret: () => secret,
    actions: ['plan.removed'],
    ...changes,
  });

async function sent(changes: Partial<WebhookOptions> = {}) {
  await hook(changes).deliver(MESSAGE, { signal });
  const [request] = receiver.received;
  if (request === undefined) throw new Error('nothing came');
  return { ...request, headers: request.headers as Record<string, string> };
}

describe('a webhook', () => {
  it('is signed as another implementation of the specification expects', async () => {
    const { body, headers } = await sent();
    const message = new Webhook(secret).verify(body, headers);
    expect(message).toEqual({ type: 'plan.removed', timestamp: '2023-11-14T22:13:20.000Z', data: record });
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'msg_1' });
    expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow();
  });

  it('is signed by both secrets while they are changed', async () => {
    const next = newSecret();
    const { body, headers } = await sent({ secret: async () => [secret, next] });
    for (const one of [secret, next]) new Webhook(one).verify(body, headers);
  });

  it.each([
    [500, 'UNAVAILABLE', /the answer was 500/],
    [404, 'UNAVAILABLE', /the answer was 404/],
    [302, 'UNAVAILABLE', /the answer was 302/],
    [308, 'UNAVAILABLE', /the answer was 308/],
  ])('has not arrived where the answer is %i, and follows no redirect', async (status, code, message) => {
    receiver.answer = (response) => response.writeHead(status, { location: '/elsewhere' }).end();
    const error = await failure(() => hook().deliver(MESSAGE, { signal }));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(receiver.received).toHaveLength(1);
  });

  it('has not arrived where there is no answer in time', async () => {
    receiver.answer = () => undefined;
    const error = await failure(() => hook({ timeoutMilliseconds: 50 }).deliver(MESSAGE, { signal }));
    expect([error.code, error.message]).toEqual(['UNAVAILABLE', 'webhook billing: no answer in time']);
  });

  it('has not arrived where the connection breaks, and says nothing of its address', async () => {
    receiver.answer = (response) => response.destroy();
    const error = await failure(() => hook().deliver(MESSAGE, { signal }));
    expect([error.code, error.message]).toEqual(['UNAVAILABLE', 'webhook billing: no connection']);
  });

  it('has arrived when the status says so: a body without end is not read', async () => {
    let isCut = false;
    receiver.answer = (response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      response.once('close', () => {
        isCut = true;
      });
      more();
    };
    await sent();
    await expect.poll(() => isCut).toBe(true);
  });

  it('asks for the secret each time, and does not tell it where it is none or cannot be had', async () => {
    const asked = ['whsec_short', 'plain', `whsec_${'!'.repeat(40)}`, newSecret()];
    const one = hook({ secret: () => asked.shift() ?? '' });
    for (const _ of [1, 2, 3]) {
      const error = await failure(() => one.deliver(MESSAGE, { signal }));
      expect([error.code, error.message]).toEqual(['INVALID_OPTIONS', 'not the secret of a webhook']);
    }
    await one.deliver(MESSAGE, { signal });
    expect(receiver.received).toHaveLength(1);
    const telling = hook({ secret: () => Promise.reject(new Error(secret)) });
    const { message } = await failure(() => telling.deliver(MESSAGE, { signal }));
    expect(message).toBe('webhook billing: its secret could not be had');
  });

  it('is of https, or on the loopback interface, unless more is allowed', () => {
    for (const url of ['https://a.example/x', 'http://localhost:1', 'http://127.0.0.9', 'http://[::1]:8']) {
      expect(hook({ url }).name).toBe('billing');
    }
    expect(hook({ url: 'http://a.example', allowPlainHttp: true }).name).toBe('billing');
    for (const url of [
      'http://a.example',
      'http://127.0.0.1.a.example',
      'http://localhost.a.example',
      'ftp://localhost',
      'https://user:password@a.example',
      'nowhere',
    ]) {
      expect(() => hook({ url }), url).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
    }
    expect(() => hook({ tenant: '../x' })).toThrow(expect.objectContaining({ code: 'INVALID_ID' }));
    expect(hook({ tenant: null }).tenant).toBe(null);
  });
});

describe('verifyWebhook', () => {
  const now = 1_700_000_000_000;
  const body = JSON.stringify({ type: record.action, timestamp: '2023-11-14T22:13:20.000Z', data: record });
  const signedBy = (one: string, at = now, text = body) => ({
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(at / 1_000),
    'webhook-signature': new Webhook(one).sign('msg_1', new Date(at), text),
  });

  it('gives what another implementation has signed, from the headers of Node and of the web', () => {
    const expected = { id: 'msg_1', ...JSON.parse(body) };
    const headers = signedBy(secret);
    expect(verifyWebhook(body, headers, secret, { now })).toEqual(expected);
    expect(verifyWebhook(Buffer.from(body), new Headers(headers), secret, { now })).toEqual(expected);
    expect(verifyWebhook(body, headers, [newSecret(), secret], { now })).toEqual(expected);
    const both = `v2,AAAA ${signedBy(newSecret())['webhook-signature']} ${headers['webhook-signature']}`;
    expect(verifyWebhook(body, { ...headers, 'webhook-signature': both }, secret, { now })).toEqual(expected);
  });

  it('refuses what was changed, is old, or is not signed', async () => {
    const headers = signedBy(secret);
    const refused: readonly (() => unknown)[] = [
      () => verifyWebhook(body.replace('acme', 'evil'), headers, secret, { now }),
      () => verifyWebhook(body, { ...headers, 'webhook-id': 'msg_2' }, secret, { now }),
      () => verifyWebhook(body, { ...headers, 'webhook-timestamp': '1700000001' }, secret, { now }),
      () => verifyWebhook(body, { ...headers, 'webhook-timestamp': 'now' }, secret, { now }),
      () => verifyWebhook(body, { ...headers, 'webhook-signature': 'v1,' }, secret, { now }),
      () => verifyWebhook(body, { ...headers, 'webhook-signature': undefined }, secret, { now }),
      () => verifyWebhook(body, headers, newSecret(), { now }),
      () => verifyWebhook(body, headers, [], { now }),
      () => verifyWebhook(body, headers, secret, { now: now + 300_001 }),
      () => verifyWebhook(body, headers, secret, { now: now - 300_001 }),
      () => verifyWebhook(body, headers, secret, { now: now + 11, tolerance: 10 }),
      () => verifyWebhook(body, headers, secret),
    ];
    for (const verify of refused) expect((await failure(verify)).code).toBe('ACCESS_DENIED');
    const old = { now: now + 300_000 };
    expect(verifyWebhook(body, headers, secret, old).type).toBe('plan.removed');
    expect((await failure(() => verifyWebhook(body, headers, 'x', { now }))).code).toBe('INVALID_OPTIONS');
  });
});
