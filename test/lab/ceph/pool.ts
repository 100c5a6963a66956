import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as z from 'zod';
import type { Ceph } from './ceph.ts';

const run = promisify(execFile);
const list = z.array(z.object({ image: z.string(), snapshot: z.string().optional() }));

/** Runs `rbd` on the lab's pool as its administrator, and resolves with what it prints. */
export async function rbd({ admin }: Ceph, ...parameters: readonly string[]): Promise<string> {
  const access = ['--conf', admin.conf, '--keyring', admin.keyring];
  const { stdout } = await run('rbd', [...access, ...parameters], { maxBuffer: 2 ** 28 });
  return stdout;
}

/** Everything in the pool whose image has the prefix: images, and `image@snapshot`. */
export async function left(ceph: Ceph, prefix: string): Promise<readonly string[]> {
  const entries = list.parse(JSON.parse(await rbd(ceph, 'ls', '-l', '--format', 'json', ceph.admin.pool)));
  return entries
    .filter(({ image }) => image.startsWith(prefix))
    .map(({ image, snapshot }) => (snapshot === undefined ? image : `${image}@${snapshot}`));
}

/** Removes images of the pool with the prefix, and their snapshots. */
export async function clear(ceph: Ceph, prefix: string): Promise<void> {
  const images = (await left(ceph, prefix)).filter((name) => !name.includes('@'));
  for (const image of images) {
    await rbd(ceph, 'snap', 'purge', `${ceph.admin.pool}/${image}`);
    await rbd(ceph, 'rm', `${ceph.admin.pool}/${image}`);
  }
}
