import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as z from 'zod';
import { writeDiff } from '../../../src/clients/rbd/diff.ts';
import { feedRbd } from '../../../src/clients/rbd/run.ts';
import type { ArraySnapshot, StorageArray, VolumeRef } from '../../../src/core/contracts/index.ts';
import type { Ceph } from './ceph.ts';

// A program has no limit of its own: one was seen to wait for ever when its image was gone.
const PATIENCE = 60_000;
const run = promisify(execFile);
const list = z.array(z.object({ image: z.string(), snapshot: z.string().optional() }));

/** Runs `rbd` on the lab's pool as its administrator, and resolves with what it prints. */
export async function rbd({ admin }: Ceph, ...parameters: readonly string[]): Promise<string> {
  const access = ['--conf', admin.conf, '--keyring', admin.keyring];
  const { stdout } = await run('rbd', [...access, ...parameters], { maxBuffer: 2 ** 28, timeout: PATIENCE });
  return stdout;
}

/** Everything in the pool whose image has the prefix: images, and `image@snapshot`. */
export async function left(ceph: Ceph, prefix: string): Promise<readonly string[]> {
  const entries = list.parse(JSON.parse(await rbd(ceph, 'ls', '-l', '--format', 'json', ceph.admin.pool)));
  return entries
    .filter(({ image }) => image.startsWith(prefix))
    .map(({ image, snapshot }) => (snapshot === undefined ? image : `${image}@${snapshot}`));
}

/** The pool's images with the prefix; unlike {@link left}, also while others remove theirs. */
export async function imagesOf(ceph: Ceph, prefix: string): Promise<readonly string[]> {
  const images = z
    .array(z.string())
    .parse(JSON.parse(await rbd(ceph, 'ls', '--format', 'json', ceph.admin.pool)));
  return images.filter((image) => image.startsWith(prefix));
}

/** Removes images of the pool with the prefix, and their snapshots; waits for who was killed while using them. */
export async function clear(ceph: Ceph, prefix: string): Promise<void> {
  const remove = async (image: string): Promise<void> => {
    await rbd(ceph, 'snap', 'purge', `${ceph.admin.pool}/${image}`);
    await rbd(ceph, 'rm', `${ceph.admin.pool}/${image}`);
  };
  for (let attempt = 1; ; attempt += 1) {
    let failure: unknown;
    for (const image of await imagesOf(ceph, prefix))
      await remove(image).catch((error: unknown) => (failure = error));
    if (failure === undefined) return;
    if (attempt === 60) throw new Error(await watchers(ceph, prefix), { cause: failure });
    await delay(1_000);
  }
}

/** Who uses the images that cannot be removed, and which programs there are that could. */
async function watchers(ceph: Ceph, prefix: string): Promise<string> {
  const told = (await imagesOf(ceph, prefix)).map((image) =>
    rbd(ceph, 'status', `${ceph.admin.pool}/${image}`),
  );
  const programs = run('ps', ['-C', 'rbd', '-o', 'pid,ppid,stat,etime,args']).then(
    ({ stdout }) => stdout,
    () => 'no rbd is running',
  );
  return (await Promise.all([...told, programs])).join('\n');
}

/** The array as if there were no other images: new ones have the prefix before their names, and only theirs are listed. */
export function prefixed(array: StorageArray, prefix: string): StorageArray {
  const { target, clone } = array;
  return {
    ...array,
    async *list(name, call) {
      for await (const one of array.list(name, call)) if (one.volume.id.startsWith(prefix)) yield one;
    },
    ...(target && {
      target: {
        ...target,
        create: ({ name, size }, call) => target.create({ name: `${prefix}${name}`, size }, call),
      },
    }),
    ...(clone && { clone: (snapshot, name, call) => clone(snapshot, `${prefix}${name}`, call) }),
  };
}

/** Writes as the volume's user would; in one short process, and to the byte. */
export async function written(
  { rbd }: Ceph,
  { id, size }: VolumeRef,
  offset: number,
  data: Uint8Array,
): Promise<void> {
  async function* run(): AsyncGenerator<{ offset: number; kind: 'data'; data: Uint8Array }> {
    yield { offset, kind: 'data', data };
  }
  const { signal } = new AbortController();
  const diff = writeDiff({ size }, run());
  await feedRbd(rbd, ['import-diff', '-', `${rbd.pool}/${id}`], diff, {
    what: `cannot write ${id}`,
    timeout: 60_000,
    signal,
  });
}

/** The bytes of a volume or of a snapshot, by `rbd export`. */
export async function exported(
  { admin }: Ceph,
  of: ArraySnapshot | Pick<VolumeRef, 'id' | 'size'>,
): Promise<Buffer> {
  const spec = 'volume' in of ? `${of.volume.id}@${of.name}` : of.id;
  const access = ['--conf', admin.conf, '--keyring', admin.keyring];
  const parameters = [...access, 'export', '--no-progress', `${admin.pool}/${spec}`, '-'];
  const child = spawn('rbd', parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [bytes, [code]] = await Promise.all([buffer(child.stdout), once(child, 'close')]);
  if (code !== 0) throw new Error(`rbd export of ${spec} ended with ${code}`);
  return bytes;
}
