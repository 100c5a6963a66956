import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cinder } from '../../src/arrays/cinder/cinder.ts';
import { groupDescription, type CinderSnapshot, SNAPSHOT } from '../../src/arrays/cinder/records.ts';
import { removePart } from '../../src/arrays/cinder/remove-parts.ts';
import { takeSet } from '../../src/arrays/cinder/take-set.ts';
import type { CallOptions } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';

const call: CallOptions = { signal: new AbortController().signal };
const VOLUMES = ['a', 'b', 'c'];
const GROUP = 'group';

type Told = {
  readonly id: string;
  name: string;
  readonly group_snapshot_id: string;
  readonly metadata: Record<string, string>;
};

/** What Cinder does with one group, to be stopped between any two requests, and changed meanwhile, as no real one can be. */
class OneGroup {
  /** Its members. */
  members: readonly string[] = VOLUMES;
  readonly told: Told[] = [];
  /** Stands before each request. */
  before: (request: string) => Promise<void> = () => Promise.resolve();
  #made = 0;

  get cinder(): Cinder {
    const requests: Partial<Cinder> = {
      snapshots: ({ name }) => this.#list(name),
      createGroupSnapshot: async ({ name, attempt }) => {
        await this.before('create');
        this.#made += 1;
        const made = `${name}-${this.#made}`;
        for (const volume_id of this.members) {
          const facts = { status: 'available', size: 1, created_at: '2026-11-21T03:23:45' };
          const id = `${made}-${volume_id}`;
          const more = { volume_id, group_snapshot_id: made, description: groupDescription(attempt) };
          this.told.push({ id, name, metadata: {}, ...facts, ...more });
        }
        await this.before('created');
      },
      markSnapshot: async (id, metadata) => {
        await this.before('mark');
        const part = this.told.find((one) => one.id === id);
        if (part === undefined) throw new FafnirError('NOT_FOUND', `there is no snapshot ${id}`);
        Object.assign(part.metadata, metadata);
      },
      removeGroupSnapshot: async (id) => {
        await this.before('remove');
        for (const one of this.told.filter((part) => part.group_snapshot_id === id))
          this.told.splice(this.told.indexOf(one), 1);
      },
    };
    return requests as Cinder;
  }

  /** What there is now. */
  parts(): readonly CinderSnapshot[] {
    return this.told.map((one) => SNAPSHOT.parse(one));
  }

  async *#list(name: string | undefined): AsyncGenerator<CinderSnapshot> {
    await this.before('list');
    yield* this.parts().filter((one) => name === undefined || one.name === name);
  }

  take(present: readonly CinderSnapshot[] = []) {
    const findGroup = async (): Promise<string> => GROUP;
    const wanted = { cinder: this.cinder, name: 'set', volumeIds: VOLUMES, present, concurrency: 4 };
    return takeSet({ ...wanted, findGroup }, call);
  }
}

describe('a group snapshot', () => {
  test('of a group that changed meanwhile is NOT_ONE_INSTANT, and does not stay', async () => {
    for (const members of [
      ['a', 'b'],
      [...VOLUMES, 'd'],
      ['a', 'b', 'd'],
    ]) {
      const group = new OneGroup();
      group.members = members;
      await expect(group.take()).rejects.toMatchObject({ code: 'NOT_ONE_INSTANT', retryable: false });
      expect(group.told).toEqual([]);
    }
  });

  test('of which Cinder did not answer does not stay, and where it cannot go then is used next time', async () => {
    const lost = new FafnirError('UNAVAILABLE', 'no answer');
    const group = new OneGroup();
    const failing = (requests: readonly string[]) => async (request: string) => {
      if (requests.includes(request)) throw lost;
    };
    group.before = failing(['created']);
    await expect(group.take()).rejects.toBe(lost);
    expect(group.told).toEqual([]);
    group.before = failing(['created', 'remove']);
    await expect(group.take()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const left = group.parts();
    expect(left.map(({ origin }) => origin)).toEqual(['partial', 'partial', 'partial']);
    group.before = () => Promise.resolve();
    const taken = await group.take(left);
    expect(taken.map(({ id }) => id)).toEqual(left.map(({ id }) => id));
    expect(group.parts().map(({ origin }) => origin)).toEqual(['complete', 'complete', 'complete']);
  });

  test('is never finished where a part of it was removed, and its name is free once all were', async () => {
    const group = new OneGroup();
    await group.take();
    const [first = expect.fail(), ...others] = group.parts();
    await removePart(group.cinder, first, call);
    await expect(group.take(group.parts())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    for (const { id } of others) await group.cinder.markSnapshot(id, { 'fafnir-removed': 'true' }, call);
    const anew = await group.take(group.parts());
    expect(anew.map(({ groupSnapshotId }) => groupSnapshotId)).toEqual(['set-2', 'set-2', 'set-2']);
    expect(group.told).toHaveLength(3);
  });

  test('keeps a part that users gave another name, until that one is removed', async () => {
    const group = new OneGroup();
    await group.take();
    const [renamed = expect.fail(), ...others] = group.told;
    renamed.name = 'mine';
    for (const { id } of others) await removePart(group.cinder, partOf(group, id), call);
    expect(group.told).toHaveLength(3);
    await removePart(group.cinder, partOf(group, renamed.id), call);
    expect(group.told).toEqual([]);
  });

  test('goes with its last part and never before, whoever removes them beside each other, and dies', async () => {
    const deaths = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), deaths, async (scheduler, steps) => {
        const group = new OneGroup();
        await group.take();
        const asked = new Set<string>();
        const wereAsked: number[] = [];
        const remove = async (part: CinderSnapshot, until: number): Promise<void> => {
          let left = until;
          const worker = new OneGroup();
          Object.assign(worker, { told: group.told });
          worker.before = async (request) => {
            await scheduler.schedule(Promise.resolve(), request);
            if (request === 'remove') wereAsked.push(asked.size);
            left -= 1;
            if (left < 0) throw new Error('killed');
          };
          await scheduler.schedule(Promise.resolve(), `begin ${part.id}`);
          asked.add(part.id);
          await removePart(worker.cinder, part, call);
        };
        const parts = group.parts();
        const removals = parts.map((part, at) => remove(part, steps[at] ?? 0).catch(() => undefined));
        await scheduler.waitFor(Promise.all(removals));
        // Those that died are repeated; also some that did not.
        const repeats = parts.map((part) => remove(part, Number.POSITIVE_INFINITY));
        await scheduler.waitFor(Promise.all(repeats));
        expect(group.told).toEqual([]);
        expect(new Set(wereAsked)).toEqual(new Set([VOLUMES.length]));
      }),
    );
  });
});

const partOf = (group: OneGroup, id: string): CinderSnapshot =>
  group.parts().find((one) => one.id === id) ?? expect.fail();
