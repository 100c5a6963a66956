import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ApplicationChanges, CheckpointId, NewPlan } from '../../../src/index.ts';
import { changeRecord, SHOP, writeServer } from './application.ts';
import { objectFiles } from './damage.ts';
import { failure, openWorld, type World } from './world.ts';

const GOLD = { tags: { tier: 'gold' } };
const FIRST = { since: null, reason: 'none' };

/** The shop with two tagged servers, and a plan of what a selector chooses. */
async function openShop(
  selector: NewPlan['resources'][number] = GOLD,
  options: Partial<NewPlan> = {},
): Promise<World> {
  const world = await openWorld();
  const root = join(world.path, 'a');
  for (const id of ['web', 'db']) await changeRecord(root, `servers/${id}`, { ...GOLD, networks: [] });
  const asked = { name: 'chosen', provider: 'bronze', resources: [selector], ...options };
  return { ...world, plan: await world.acme.plans.create(asked) };
}

const protect = async ({ acme, plan }: Pick<World, 'acme' | 'plan'>): Promise<CheckpointId> =>
  (await (await acme.protect(plan.id)).result()).checkpoint;

/** What a checkpoint says, the lists by id alone. */
const told = (changes: ApplicationChanges | undefined): unknown => {
  if (changes === undefined || changes.since === null) return changes;
  const idsOf = (list: readonly { readonly id: string }[]): string[] => list.map(({ id }) => id);
  return { since: changes.since, joined: idsOf(changes.joined), left: idsOf(changes.left) };
};

/** Previews, protects, and expects that the checkpoint says what the preview said. */
async function expectChanges(world: World, expected: unknown): Promise<CheckpointId> {
  const preview = await world.acme.preview.protect(world.plan.id);
  expect(told(preview.changes)).toEqual(expected);
  const made = await protect(world);
  expect(await world.acme.checkpoints.changes(made)).toEqual(preview.changes);
  return made;
}

const graphFiles = ({ path }: World, checkpoint: CheckpointId): Promise<string[]> =>
  objectFiles(join(path, 'bank'), `acme/graphs/${checkpoint}=`);

describe('what joined and what left a plan', () => {
  it('is not said of the first checkpoint, which says so', async () => {
    await using world = await openShop();
    const made = await expectChanges(world, FIRST);
    expect((await world.acme.checkpoints.get(made)).commit.changes).toEqual(FIRST);
  });

  it.each<[string, NewPlan['resources'][number]]>([
    ['by tag', GOLD],
    ['by a rule of names', { type: 'Local::Server', name: '*b*' }],
  ])('is told of a plan %s: tagged in, renamed, tagged out, deleted', async (how, selector) => {
    await using world = await openShop(selector);
    const root = join(world.path, 'a');
    const first = await protect(world);
    await writeServer(root, 'bee', GOLD);
    const second = await expectChanges(world, { since: first, joined: ['bee', 'bee-root'], left: [] });
    const { changes } = (await world.acme.checkpoints.get(second)).commit;
    expect(changes).toEqual({ since: first, joined: 2, left: 0, lists: expect.any(String) });

    // Another name is another server only to a rule of names.
    await changeRecord(root, 'servers/web', { name: 'front' });
    const gone = how === 'by tag' ? [] : ['web', 'web-root'];
    const third = await expectChanges(world, { since: second, joined: [], left: gone });

    await changeRecord(root, 'servers/db', { tags: {}, name: 'data' });
    const fourth = await expectChanges(world, {
      since: third,
      joined: [],
      left: ['db', 'db-data', 'db-root'],
    });
    const told = await world.acme.checkpoints.changes(fourth);
    expect(told).toMatchObject({ left: [{ type: 'Local::Server', id: 'db', name: 'db' }, {}, {}] });

    for (const file of ['servers/bee.json', 'volumes/bee-root.raw']) await rm(join(root, file));
    await changeRecord(root, 'servers/web', { name: 'web' });
    const back = how === 'by tag' ? [] : ['web', 'web-root'];
    await expectChanges(world, { since: fourth, joined: back, left: ['bee', 'bee-root'] });
  });

  it('is told of a plan by id: what its application gained, what it lost and what was excluded', async () => {
    await using world = await openShop(SHOP[0], { exclude: [{ tags: { scratch: null } }] });
    const root = join(world.path, 'a');
    const first = await protect(world);
    await expectChanges(world, { since: first, joined: [], left: [] });
    await writeServer(root, 'new');
    await changeRecord(root, 'applications/shop', { servers: ['web', 'db', 'new'] });
    await changeRecord(root, 'servers/db', { volumes: [{ volume: 'db-root' }] });
    const second = await expectChanges(world, {
      since: expect.any(String),
      joined: ['new', 'new-root'],
      left: ['db-data'],
    });
    await changeRecord(root, 'servers/new', { tags: { scratch: 'yes' } });
    const third = await expectChanges(world, { since: second, joined: [], left: ['new', 'new-root'] });
    expect((await world.acme.checkpoints.get(third)).commit.excluded).toBe(1);
  });

  it('is told of the newest one that is not removed, and can be read', async () => {
    await using world = await openShop();
    const root = join(world.path, 'a');
    const first = await protect(world);
    await writeServer(root, 'bee', GOLD);
    const second = await protect(world);
    await changeRecord(root, 'servers/web', { tags: {} });
    const third = await protect(world);

    await (await world.acme.remove(third)).result();
    const left = ['web', 'web-root'];
    await expectPreview(world, { since: second, joined: [], left });
    for (const file of await graphFiles(world, second)) await writeFile(file, 'not what was stored');
    await expectPreview(world, { since: first, joined: ['bee', 'bee-root'], left });
    for (const file of await graphFiles(world, first)) await rm(file);
    const since = await expectChanges(world, { since: null, reason: 'unreadable' });
    await expectChanges(world, { since, joined: [], left: [] });
  });

  it('is not said where all earlier ones were removed', async () => {
    await using world = await openShop();
    await (await world.acme.remove(await protect(world))).result();
    await expectChanges(world, FIRST);
  });

  it('is refused where its lists are damaged, and the checkpoint is as good as before', async () => {
    await using world = await openShop();
    const first = await protect(world);
    const before = new Set(await graphFiles(world, first));
    await writeServer(join(world.path, 'a'), 'bee', GOLD);
    const second = await protect(world);
    const { changes } = (await world.acme.checkpoints.get(second)).commit;
    const lists = (changes && 'lists' in changes && changes.lists) || '';
    const [file] = (await graphFiles(world, second)).filter(
      (path) => path.endsWith(lists) && !before.has(path),
    );
    await rm(file ?? '');
    expect((await failure(() => world.acme.checkpoints.changes(second))).code).toBe('NOT_FOUND');
    await (await world.acme.verify(second)).result();
    expect((await world.acme.checkpoints.get(second)).state).toBe('available');
  });

  it('is not said of an application that could not all be read', async () => {
    await using world = await openShop({ type: 'Local::Server', ...GOLD }, { incomplete: 'allow' });
    await protect(world);
    // A record that cannot be read: what the server depends on is not known.
    await writeFile(join(world.path, 'a/volumes/web-root.json'), '{}');
    const preview = await world.acme.preview.protect(world.plan.id);
    expect(preview.changes).toEqual({ since: null, reason: 'incomplete' });
  });

  it('of a run beside another is told by the discovery that came before, whatever the order of the requests', async () => {
    await using world = await openShop();
    const first = await protect(world);
    const jobs = await Promise.all([1, 2, 3].map(() => world.acme.protect(world.plan.id)));
    await writeServer(join(world.path, 'a'), 'bee', GOLD);
    const made = await Promise.all(jobs.map(async (job) => (await job.result()).checkpoint));
    const commits = await Promise.all(made.map(async (id) => (await world.acme.checkpoints.get(id)).commit));
    commits.sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt));
    const since = commits.map(({ changes }) => changes?.since);
    expect(since).toEqual([first, ...commits.slice(0, -1).map(({ id }) => id)]);
    const joined = commits.map(({ changes }) => (changes && 'joined' in changes ? changes.joined : -1));
    expect(joined.reduce((sum, count) => sum + count)).toBe(2);
  });
});

async function expectPreview({ acme, plan }: World, expected: unknown): Promise<void> {
  expect(told((await acme.preview.protect(plan.id)).changes)).toEqual(expected);
}
