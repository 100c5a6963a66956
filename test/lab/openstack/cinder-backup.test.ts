import { createHash, randomUUID } from 'node:crypto';
import { open as openFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { memoryBank } from '../../../src/banks/memory.ts';
import {
  type OpenStackBytes,
  type OpenStackClient,
  openStackClient,
} from '../../../src/clients/openstack/index.ts';
import type {
  ArraySnapshot,
  ExternalSource,
  Proof,
  SnapshotCopy,
  VolumeRef,
} from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { cinderBackup, cinderBackups, importCinderBackups } from '../../../src/strategies/cinder-backup.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { collect, pattern, snapshotOne, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject } from './cinder.ts';
import { again, killAt } from './killing.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import type { ReadingOrder } from './reading.ts';

const { openstack, skipped } = openStackLab();
const call = { signal: new AbortController().signal };
const counted = { ...call, progress: (): void => undefined };
const reading = () => ({ ...counted, token: `faf-${randomUUID()}` });
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const MINUTES = 5 * 60_000;
const item = z.looseObject({ id: z.string() });
const backup = z.looseObject({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  is_incremental: z.boolean(),
  metadata: z.record(z.string(), z.string()),
});
type Backup = z.infer<typeof backup>;

if (openstack === undefined)
  describe.skip(`backups of Cinder (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  const administrator = await administratorOf(openstack, project);
  afterAll(async () => {
    await administrator.close();
    await project.remove();
  });
  describe('backups of Cinder', () => suite(openstack, project, administrator));
}

/** As the store's: over the digests of every 4 MiB. */
function digestOf(bytes: Buffer): string {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += 4 * MIB) {
    hash.update(
      createHash('sha256')
        .update(bytes.subarray(at, at + 4 * MIB))
        .digest(),
    );
  }
  return hash.digest('hex');
}

/** The administrator in the project, who may export and import records there. */
async function administratorOf(lab: OpenStack, { client }: CinderProject): Promise<OpenStackClient> {
  const { authUrl, region, admin } = lab;
  const credentials = { type: 'password', user: { name: admin.user }, password: admin.password } as const;
  await using cloud = openStackClient({
    authUrl,
    region,
    credentials: { ...credentials, project: { name: admin.project } },
  });
  const id = (await client.scope(call)).project?.id ?? '';
  const identity = cloud.service('identity');
  const { user } = await cloud.scope(call);
  const roles = { path: ['roles'], collection: 'roles', item, query: { name: 'admin' } };
  for await (const role of identity.list(roles, call)) {
    const path = ['projects', id, 'users', user.id, 'roles', role.id];
    await identity.request({ method: 'PUT', path, answer: z.unknown() }, call);
  }
  return openStackClient({ authUrl, region, credentials: { ...credentials, project: { id } } });
}

function suite(lab: OpenStack, project: CinderProject, administrator: OpenStackClient): void {
  const array = project.array();
  const { cinder, client } = project;
  const store = cinderBackups({
    name: 'backups',
    client,
    array,
    volumeType: 'file',
    administrator,
    timeout: MINUTES,
  });

  const list = async (): Promise<readonly Backup[]> => {
    const found: Backup[] = [];
    const query = { path: ['backups', 'detail'], collection: 'backups', item: backup };
    for await (const one of cinder.list(query, call)) if (one.status !== 'deleting') found.push(one);
    return found;
  };
  const sourceOf = (snapshot: ArraySnapshot, proof: Proof = 'source-compared'): ExternalSource => ({
    volume: snapshot.volume,
    snapshot,
    open: (inner) => array.open(snapshot, {}, inner),
    proof,
  });
  const make = (): Promise<VolumeRef> => targetOf(array).create({ name: randomUUID(), size: GIB }, call);
  const startOf = async (id: string, folder = lab.files): Promise<Buffer> => {
    await using file = await openFile(join(folder, `volume-${id}`), 'r');
    const start = Buffer.alloc(4 * MIB);
    await file.read(start, 0, start.length, 0);
    return start;
  };
  const swift = client.service('object-store');
  const container = 'volumebackups';
  /** What Swift has of backups, by name. */
  const objectsOf = async (): Promise<ReadonlyMap<string, Buffer>> => {
    const read = async ({ body }: OpenStackBytes): Promise<Buffer> => {
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      return Buffer.concat(pieces);
    };
    const listing = { method: 'GET', path: [container] } as const;
    const names = (await swift.transfer(listing, read, call)).toString().trim().split('\n');
    const objects = new Map<string, Buffer>();
    for (const name of names) {
      const path = [container, ...name.split('/')];
      objects.set(name, await swift.transfer({ method: 'GET', path }, read, call));
    }
    return objects;
  };
  const putObjects = async (objects: ReadonlyMap<string, Buffer>): Promise<void> => {
    for (const [name, bytes] of objects) {
      const path = [container, ...name.split('/')];
      await swift.transfer({ method: 'PUT', path, body: [bytes] }, async () => undefined, call);
    }
  };
  const token = (): string => `faf-${randomUUID()}`;
  /** Those with incremental ones on them go after these. */
  const clearBackups = async (): Promise<void> => {
    for (let left = await list(); left.length > 0; left = await list()) {
      for (const { id } of left.toReversed()) {
        const place = { path: ['backups', id], member: 'backup', milliseconds: MINUTES };
        await cinder.waitFor({ ...place, until: ['available', 'error'] }, call).catch(() => undefined);
        const gone = { method: 'DELETE', path: place.path, answer: z.unknown() } as const;
        const isAsked = await cinder.request(gone, call).then(
          () => true,
          () => false,
        );
        if (isAsked) await cinder.waitUntilGone(place, call);
      }
    }
  };
  afterEach(async () => {
    await clearBackups();
    await project.clear();
  });

  test('are full and then incremental, proven by a restore, and a chain goes with its last', async () => {
    const volume = await make();
    await project.write(volume, 700_001, pattern(2 * MIB, 1));
    const names = [token(), token()];
    const copies: SnapshotCopy[] = [];
    for (const [at, name] of names.entries()) {
      await project.write(volume, 0, pattern(MIB, at + 2));
      copies.push(await store.create(sourceOf(await snapshotOne(array, volume, name)), name, counted));
    }
    const [full, incremental] = copies;
    if (full === undefined || incremental === undefined) expect.fail();
    expect(copies.map(({ proof }) => proof)).toEqual(['source-compared', 'source-compared']);
    expect((await list()).map((one) => [one.name, one.is_incremental]).toSorted()).toEqual(
      [
        [names[0], false],
        [names[1], true],
      ].toSorted(),
    );
    expect((await project.left()).filter((name) => name.endsWith('-restored'))).toEqual([]);
    expect(incremental.reference.records).toMatchObject([
      { id: full.reference.id },
      { id: incremental.reference.id },
    ]);

    // Its parent cannot go before it.
    await store.remove(full, call);
    expect(await list()).toHaveLength(2);
    expect((await list()).find(({ id }) => id === full.reference.id)?.metadata).toMatchObject({
      'fafnir-removed': 'true',
    });
    const target = await make();
    {
      await using opened = await targetOf(array).openForWrite(target, call);
      await store.restoreInto(incremental, opened, reading());
    }
    expect((await startOf(target.id)).equals(await startOf(volume.id))).toBe(true);
    await store.remove(incremental, call);
    await store.remove(incremental, call);
    expect(await list()).toEqual([]);
  });

  test('that a caller who went away had asked for are found again, and undone by their name', async () => {
    const volume = await make();
    await project.write(volume, 0, pattern(MIB, 3));
    const name = token();
    const snapshot = await snapshotOne(array, volume, name);
    const gone = new AbortController();
    const first = store.create(sourceOf(snapshot), name, { ...counted, signal: gone.signal });
    const asked = expect(first).rejects.toThrow();
    while ((await list()).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    gone.abort();
    await asked;
    const [left] = await list();
    const copy = await store.create(sourceOf(snapshot, 'stored'), name, counted);
    expect(copy).toMatchObject({ proof: 'stored', reference: { id: left?.id } });
    expect(await list()).toHaveLength(1);
    expect(await store.removeMade(name, call)).toEqual([`backup ${left?.id} of volume ${volume.id}`]);
    expect(await store.removeMade(name, call)).toEqual([]);
    expect(await list()).toEqual([]);
  });

  test('leave nothing of processes that are killed while they read, for one that comes after', async () => {
    const volume = await make();
    await project.write(volume, 0, pattern(MIB, 7));
    const name = token();
    const source = sourceOf(await snapshotOne(array, volume, name), 'stored');
    const copy = await store.create(source, name, counted);
    const restored = async () => (await project.left()).filter((one) => one.endsWith(`-restored`)).length;
    const read = reading();
    const other = reading();
    const common = { cloud: project.options, folder: lab.files, copy };
    const order = (token: string): ReadingOrder => ({ ...common, token });
    await killAt('reading.ts', order(other.token), 3_000);
    for (const milliseconds of [500, 2_500]) {
      await killAt('reading.ts', order(read.token), milliseconds);
      // What a dead process asked for may come while the next one is at it, who then tries again.
      await again(async () => {
        await store.verify(copy, { level: 'deep', sample: 1 }, read);
      });
    }
    // Of another reading, which may be under way for all that this one knows.
    const listed = await collect(store.list(other.token, call));
    expect(await restored()).toBe(listed.length);
    await again(async () => void (await store.removeMade(other.token, call)));
    expect(await restored()).toBe(0);
    await store.remove(copy, call);
  });

  test('protect a volume that is destroyed', async () => {
    const volume = await make();
    await project.write(volume, 3 * MIB, pattern(MIB, 4));
    const resources = [{ type: 'OS::Cinder::Volume', id: volume.id }];
    const gold = defineProvider({
      name: 'gold',
      site: 'a',
      parts: [
        {
          contract: 1,
          name: 'openstack',
          protectables: openStackResources({ client: project.client }),
          arrays: [array],
          copyStores: [store],
        },
      ],
      strategies: [cinderBackup({ store: 'backups', array: 'cinder' })],
      banks: [{ bank: memoryBank({ name: 'bank' }), keys: memoryKeys(), role: 'primary' }],
    });
    await using engine = await createEngine({ store: memoryStore(), providers: [gold] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'data', provider: 'gold', resources });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const opened = await acme.checkpoints.get(checkpoint);
    const [copy] = opened.artifacts.flatMap((artifact) => artifact.volume?.copies ?? []);
    // Its snapshot is not needed any more.
    expect(copy).toMatchObject({ kind: 'external', proof: 'source-compared' });
    const before = await startOf(volume.id);
    await targetOf(array).remove(volume, call);
    expect((await project.left()).filter((name) => name.startsWith('volumes/'))).toEqual([]);
    const restored = await (await acme.restore(checkpoint, { to: 'gold' })).result();
    expect(restored).toMatchObject({ volumes: 1 });
    const files = (await readdir(lab.files)).filter((name) => name.startsWith('volume-'));
    const starts = await Promise.all(files.map((name) => startOf(name.slice('volume-'.length))));
    expect(starts.some((one) => one.equals(before))).toBe(true);

    await (await acme.remove(checkpoint)).result();
    expect(await list()).toEqual([]);
  });

  test('are imported where Cinder forgot them, and its objects are left', async () => {
    const volume = await make();
    await project.write(volume, 3 * MIB, pattern(MIB, 6));
    const name = token();
    const copy = await store.create(
      sourceOf(await snapshotOne(array, volume, name), 'stored'),
      name,
      counted,
    );
    await importCinderBackups(copy, { administrator, ...call });
    const objects = await objectsOf();
    await clearBackups();
    const request = { level: 'deep', sample: 1 } as const;
    await expect(store.verify(copy, request, reading())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await putObjects(objects);
    await importCinderBackups(copy, { administrator, ...call });
    expect(await store.verify(copy, request, reading())).toMatchObject({ proof: 'source-compared' });
    await store.remove(copy, call);
    expect(await list()).toEqual([]);
  });

  test('of an NFS volume with a snapshot, which Cinder calls available, are found out', async () => {
    const folder = join(dirname(lab.files), 'nfs');
    const id = await project.volume({ name: 'trap', volume_type: 'nfs' });
    const bytes = Buffer.alloc(GIB);
    bytes.set(pattern(MIB, 5));
    {
      await using file = await openFile(join(folder, `volume-${id}`), 'r+');
      await file.write(bytes, 0, MIB, 0);
    }
    // From now on what the volume is called is an overlay, and Cinder reads it as if it were the volume.
    await project.snapshot(id, 'trap');
    const name = token();
    const body = { backup: { volume_id: id, name, metadata: { 'fafnir-name': name } } };
    const answer = z.looseObject({ backup: z.looseObject({ id: z.string() }) });
    const made = await cinder.request({ method: 'POST', path: ['backups'], body, answer }, call);
    const path = ['backups', made.backup.id];
    await cinder.waitFor({ path, member: 'backup', until: ['available'], milliseconds: MINUTES }, call);
    const copy: SnapshotCopy = {
      kind: 'external',
      location: 'backups',
      reference: { id: made.backup.id, token: name, digest: digestOf(bytes) },
      volume: { array: array.name, id, size: GIB },
      takenAt: new Date().toISOString(),
      proof: 'stored',
    };
    const request = { level: 'deep', sample: 1 } as const;
    await expect(store.verify(copy, request, reading())).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/restores no volume: .*overlay|restores something else/),
    });
  });
}
