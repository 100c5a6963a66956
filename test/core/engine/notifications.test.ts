import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { verifyWebhook, webhook, type WebhookOptions } from '../../../src/clients/webhook/index.ts';
import type { Clock, Engine, EngineOptions, Notifier } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { accept, newSecret, type Receiver, startReceiver } from '../../clients/webhook/receiver.ts';
import { SHOP, temporaryDirectory } from './application.ts';
import { all, failure, hastyClock, openWorld, protect, providersIn } from './world.ts';

const NOTIFIER = fileURLToPath(new URL('fixtures/notifier.ts', import.meta.url));
const secret = newSecret();
const at = { firstPauseMilliseconds: 1, longestPauseMilliseconds: 1 };

/** Looks for work all the time. */
const quick: Clock = {
  ...hastyClock,
  sleep: (milliseconds, call) => hastyClock.sleep(Math.min(milliseconds, 10), call),
};

const hookOn = ({ url }: Receiver, changes: Partial<WebhookOptions> = {}): Notifier =>
  webhook({ name: 'hook', url, secret: () => secret, actions: ['plan.created'], retry: at, ...changes });

const heard = ({ received }: Receiver) =>
  received.map(({ body, headers }) => verifyWebhook(body, headers, secret));

async function engineIn(path: string, options: Partial<EngineOptions>): Promise<Engine> {
  return createEngine({
    store: sqliteStore(join(path, 'fafnir.db')),
    providers: Object.values(providersIn(path)),
    clock: quick,
    ...options,
  });
}

async function makePlans(engine: Engine, count: number, prefix = 'plan'): Promise<void> {
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  for (let number = 1; number <= count; number += 1) {
    await acme.plans.create({ name: `${prefix} ${number}`, provider: 'gold', resources: SHOP });
  }
}

const nothingLeft = (engine: Engine): Promise<void> =>
  expect.poll(async () => (await all(engine.notifications.list())).length, { timeout: 20_000 }).toBe(0);

it('tells a webhook of what it asked for, in order, with the records of the audit', async () => {
  await using receiver = await startReceiver();
  const ofJob = ['job.submitted', 'checkpoint.committed', 'job.ended'] as const;
  const actions = [...ofJob, 'plan.removed', 'template.stored', 'template.removed'] as const;
  const hook = hookOn(receiver, { actions });
  const operators = hookOn(receiver, { name: 'operators', actions: ['schedule.paused'], tenant: null });
  const others = hookOn(receiver, { name: 'others', tenant: 'other' });
  await using world = await openWorld({ options: { clock: quick, notifiers: [hook, operators, others] } });
  const { acme, engine, plan } = world;
  const job = await protect(world);
  await acme.plans.remove(plan.id);
  await acme.templates.put({ name: 'sweep', operation: { name: 'collect' } });
  await acme.templates.remove('sweep');
  await nothingLeft(engine);
  const messages = heard(receiver);
  expect(messages.map(({ type }) => type)).toEqual(actions);
  const records = await all(acme.audit({ after: 1 }));
  expect(messages.map(({ data }) => data)).toEqual(records);
  expect(messages.map(({ id }) => id)).toEqual(records.map(({ hash }) => `msg_${hash.slice(0, 32)}`));
  expect(messages[1]?.data).toMatchObject({ object: { job, checkpoint: job, state: 'available' } });
  expect(messages[2]?.data).toMatchObject({ object: { job }, outcome: { state: 'succeeded' } });
  await acme.schedules.pause({ plan: plan.id });
  await engine.schedules.pause({ site: 'a' });
  await nothingLeft(engine);
  expect(
    heard(receiver)
      .slice(actions.length)
      .map(({ data }) => data.object),
  ).toEqual([{ site: 'a' }]);
});

it('tries again with the same id after an error, a broken connection and no answer', async () => {
  await using receiver = await startReceiver();
  receiver.answer = (response, request, number) => {
    if (number === 1) response.writeHead(500).end();
    else if (number === 2) response.destroy();
    else if (number > 3) accept(response, request, number);
  };
  await using directory = await temporaryDirectory();
  const notifiers = [hookOn(receiver, { timeoutMilliseconds: 100 })];
  await using engine = await engineIn(directory.path, { notifiers, store: memoryStore() });
  await makePlans(engine, 1);
  await nothingLeft(engine);
  const messages = heard(receiver);
  expect(messages).toHaveLength(4);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(1);
});

it('lets later ones pass, gives up after the last try, tells so, and sends again when asked', async () => {
  await using receiver = await startReceiver();
  const isFirst = (body: string): boolean => JSON.parse(body).data.number === 1;
  receiver.answer = (response, request, number) => {
    if (isFirst(request.body)) response.writeHead(503).end();
    else accept(response, request, number);
  };
  await using directory = await temporaryDirectory();
  const notifiers = [hookOn(receiver, { retry: { ...at, attempts: 3 } })];
  await using engine = await engineIn(directory.path, { notifiers });
  const died = new Promise((resolve) => engine.on('notification.dead', resolve));
  await makePlans(engine, 2);
  const error = { code: 'UNAVAILABLE', message: 'webhook hook: the answer was 503' };
  const key = { tenant: 'acme', number: 1, notifier: 'hook' };
  expect(await died).toEqual({ type: 'notification.dead', ...key, error });
  const left = () => all(engine.notifications.list({ tenant: 'acme', notifier: 'hook' }));
  await expect.poll(async () => (await left()).length).toBe(1);
  expect(await left()).toEqual([{ ...key, state: 'dead', attempts: 3, dueAt: expect.any(Number), error }]);
  expect(receiver.received.filter(({ body }) => isFirst(body))).toHaveLength(3);
  expect(receiver.received.filter(({ body }) => !isFirst(body))).toHaveLength(1);
  receiver.answer = accept;
  expect(await engine.notifications.resend({ ...key, number: 2 })).toBe(false);
  expect(await engine.notifications.resend(key)).toBe(true);
  await nothingLeft(engine);
  const ids = receiver.received.filter(({ body }) => isFirst(body)).map(({ id }) => id);
  expect([ids.length, new Set(ids).size]).toEqual([4, 1]);
});

it('of two hosts on a store one delivers each, and one that does not work delivers none', async () => {
  await using receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  const options = { notifiers: [hookOn(receiver)] };
  await using asking = await engineIn(directory.path, { ...options, worker: false });
  await makePlans(asking, 20, 'asked');
  expect(await all(asking.notifications.list())).toHaveLength(20);
  await using one = await engineIn(directory.path, options);
  await using other = await engineIn(directory.path, options);
  await Promise.all([makePlans(one, 20, 'one'), makePlans(other, 20, 'other')]);
  await nothingLeft(asking);
  const numbers = heard(receiver).map(({ data }) => data.number);
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, number) => number + 1));
});

it('what a process was delivering when it was killed is delivered again by another, with the same id', async () => {
  await using receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  receiver.answer = () => undefined;
  const child = spawn(process.execPath, [NOTIFIER, directory.path, receiver.url, secret]);
  const closed = once(child, 'close');
  await receiver.came(1);
  // The receiver has it, and its sender never learns that.
  child.kill('SIGKILL');
  expect(await closed).toEqual([null, 'SIGKILL']);
  receiver.answer = accept;
  // Its claim holds for a while.
  const later: Clock = { ...quick, now: () => quick.now() + 120_000 };
  await using engine = await engineIn(directory.path, { notifiers: [hookOn(receiver)], clock: later });
  await nothingLeft(engine);
  const [first, second, ...more] = heard(receiver);
  expect([second?.id, second?.data, more]).toEqual([first?.id, first?.data, []]);
  expect(first?.data).toMatchObject({ actor: 'doomed', action: 'plan.created' });
});

it('an engine that closes while it delivers gives back what it has, for the next one', async () => {
  await using receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  receiver.answer = () => undefined;
  const options = { notifiers: [hookOn(receiver)] };
  const engine = await engineIn(directory.path, options);
  await makePlans(engine, 1);
  await receiver.came(1);
  await engine.close();
  receiver.answer = accept;
  await using next = await engineIn(directory.path, options);
  await nothingLeft(next);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
});

it('a notifier that throws what is no error of ours, or never ends, holds up no other', async () => {
  await using receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  const base = { contract: 1, actions: ['plan.created'], retry: { ...at, attempts: 1 } } as const;
  const throwing: Notifier = { ...base, name: 'throwing', deliver: () => Promise.reject('no') };
  const stuck: Notifier = { ...base, name: 'stuck', deliver: () => new Promise(() => undefined) };
  const notifiers = [throwing, stuck, hookOn(receiver)];
  await using engine = await engineIn(directory.path, { notifiers });
  await makePlans(engine, 1);
  await receiver.came(1);
  const dead = () => all(engine.notifications.list({ state: 'dead' }));
  await expect.poll(async () => (await dead()).length).toBe(1);
  expect(await dead()).toMatchObject([{ notifier: 'throwing', error: { code: 'PLUGIN_FAILED' } }]);
});

it('refuses notifiers and names that cannot be', async () => {
  await using receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  const { path } = directory;
  const hook = hookOn(receiver);
  const bad = [
    [hook, hook],
    [{ ...hook, name: '' }],
    [{ ...hook, actions: [] }],
    [{ ...hook, contract: 2 }],
    [{}],
  ];
  for (const notifiers of bad) {
    const { code } = await failure(() => engineIn(path, { notifiers: notifiers as never }));
    expect(code).toBe('INVALID_OPTIONS');
  }
  await using engine = await engineIn(path, {});
  const calls = [
    () => all(engine.notifications.list({ state: 'gone' } as never)),
    () => engine.notifications.resend({ tenant: 'acme', number: 0, notifier: 'a' }),
  ];
  for (const call of calls) expect((await failure(call)).code).toBe('INVALID_OPTIONS');
  expect(await engine.notifications.resend({ tenant: null, number: 1, notifier: 'a' })).toBe(false);
});
