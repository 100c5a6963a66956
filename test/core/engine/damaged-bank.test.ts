import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckpointId } from '../../../src/index.ts';
import { SHOP } from './application.ts';
import { DAMAGES, objectFiles, recordOf, rewritten, whileDamaged } from './damage.ts';
import { fails, refused } from './refusals.ts';
import { everything, failure, openWorld, protect } from './world.ts';

describe('damage in the bank', () => {
  const READ_BY_RESTORE = ['commits', 'graphs', 'artifacts', 'addenda', 'manifests', 'data'];

  it.each(READ_BY_RESTORE)('to %s stops a restore before it leaves anything', async (folder) => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const [file = ''] = await objectFiles(join(world.path, 'bank'), `acme/${folder}/`);
    for (const damage of Object.values(DAMAGES)) {
      await whileDamaged(file, damage, () =>
        fails(world, () => world.acme.restore(checkpoint, { to: 'silver' }), 'CORRUPT'),
      );
    }
    const gone = join(world.path, 'gone');
    await cp(file, gone);
    await rm(file);
    if (folder !== 'addenda') {
      const job = await world.acme.restore(checkpoint, { to: 'silver' });
      expect(['NOT_FOUND', 'CORRUPT']).toContain((await failure(() => job.result())).code);
      expect(await everything(world)).toMatchObject({ b: {} });
    }
    await cp(gone, file);
    expect(await (await world.acme.restore(checkpoint, { to: 'silver' })).result()).toMatchObject({
      volumes: 3,
    });
  });

  it.each(['commits', 'artifacts', 'addenda'])('to %s shows in every reading', async (folder) => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const [file = ''] = await objectFiles(join(world.path, 'bank'), `acme/${folder}/`);
    for (const damage of Object.values(DAMAGES)) {
      await whileDamaged(file, damage, async () => {
        await refused(world, () => world.acme.checkpoints.get(checkpoint), 'CORRUPT');
        await refused(world, () => world.acme.preview.restore(checkpoint, { to: 'silver' }), 'CORRUPT');
        await fails(world, () => world.acme.verify(checkpoint), 'CORRUPT');
        await fails(world, () => world.acme.remove(checkpoint), 'CORRUPT');
      });
    }
  });

  it.each(['manifests', 'data'])(
    'to %s is found by verifying, and the checkpoint is not available from then on',
    async (folder) => {
      await using world = await openWorld();
      const checkpoint = await protect(world);
      const [file = ''] = await objectFiles(join(world.path, 'bank'), `acme/${folder}/`);
      const flip = DAMAGES['one bit is flipped'] ?? Buffer.from;
      await whileDamaged(file, flip, async () => {
        const job = await world.acme.verify(checkpoint);
        expect((await failure(() => job.result())).code).toBe('CORRUPT');
        expect((await world.acme.checkpoints.get(checkpoint)).state).toBe('partial');
        await fails(world, () => world.acme.restore(checkpoint, { to: 'silver' }), 'NOT_AVAILABLE');
      });
    },
  );

  it('to one commit does not keep the plan from being protected, nor the others from being listed', async () => {
    await using world = await openWorld();
    const first = await protect(world);
    const [file = ''] = await objectFiles(join(world.path, 'bank'), 'acme/commits/');
    await writeFile(file, 'garbage');
    const second = await protect(world);
    const listed: object[] = [];
    for await (const { id, state } of world.acme.checkpoints.list()) listed.push({ id, state });
    expect(listed).toEqual([
      { id: first, state: 'failed' },
      { id: second, state: 'available' },
    ]);
  });

  it('such as an object among the commits that is none does not stop the listing', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    await writeFile(join(world.path, 'bank', 'acme', 'commits', 'README.txt'), 'not a commit');
    const listed: CheckpointId[] = [];
    for await (const { id } of world.acme.checkpoints.list()) listed.push(id);
    expect(listed).toContain(checkpoint);
    await protect(world);
  });
});

const bankOf = ({ path }: { readonly path: string }): string => join(path, 'bank');

describe('records that somebody with the keys wrote anew', () => {
  it('are refused where the format has no such field', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    for (const folder of ['commits', 'graphs', 'artifacts', 'addenda', 'manifests']) {
      const [file = ''] = await objectFiles(join(world.path, 'bank'), `acme/${folder}/`);
      await whileDamaged(
        file,
        rewritten(bankOf(world), (record) => ({ ...record, extra: 1 })),
        () => fails(world, () => world.acme.restore(checkpoint, { to: 'silver' }), 'CORRUPT'),
      );
    }
  });

  it.each([
    ['another tenant', { tenant: 'rival' }],
    ['another checkpoint', { id: 'another' }],
    ['another plan', { plan: { id: 'another', name: 'shop', resources: [...SHOP] } }],
  ])('are refused where a commit says it is of %s than its key', async (_name, change) => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const [file = ''] = await objectFiles(join(world.path, 'bank'), 'acme/commits/');
    await whileDamaged(
      file,
      rewritten(bankOf(world), (record) => ({ ...record, ...change })),
      async () => {
        await refused(world, () => world.acme.checkpoints.get(checkpoint), 'CORRUPT');
        for await (const { id, state } of world.acme.checkpoints.list()) {
          expect({ id, state }).toEqual({ id: checkpoint, state: 'failed' });
        }
      },
    );
  });

  it("are refused where a commit points to another tenant's records", async () => {
    await using world = await openWorld();
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    const plan = await rival.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    await protect({ acme: rival, plan });
    const checkpoint = await protect(world);
    const bank = join(world.path, 'bank');
    const [theirs = ''] = await objectFiles(bank, 'rival/commits/');
    const { graph = null, artifacts = null } = await recordOf(bank, theirs, await readFile(theirs));
    const [file = ''] = await objectFiles(bank, 'acme/commits/');
    await whileDamaged(
      file,
      rewritten(bankOf(world), (record) => ({ ...record, graph, artifacts })),
      async () => {
        const error = await failure(() => world.acme.checkpoints.get(checkpoint));
        expect(['NOT_FOUND', 'CORRUPT']).toContain(error.code);
      },
    );
  });

  it("are refused where an archive has another volume's manifest", async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const [first = '', second = ''] = await objectFiles(join(world.path, 'bank'), 'acme/manifests/');
    const other = await readFile(second);
    await whileDamaged(
      first,
      () => other,
      () => fails(world, () => world.acme.restore(checkpoint, { to: 'silver' }), 'CORRUPT'),
    );
  });
});
