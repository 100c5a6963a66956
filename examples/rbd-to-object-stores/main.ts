// Images of Ceph go to Swift and to S3, and come back. This process asks; another one, worker.ts, does it.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FafnirError, type Job, type ProtectResult, type Session } from 'fafnir';
import { createKeyFile } from 'fafnir/keys/file';
import { identity, startEngine } from './engine.ts';
import { IMAGE } from './images.ts';
import { showJobs } from './jobs.ts';
import { imageDigest, makeImage, removeImage } from './rbd.ts';
import { keyPath, settings } from './settings.ts';

const PROVIDERS = ['to-swift', 'to-s3'] as const;
const SIZE = 48 * 1024 ** 2;

async function main(): Promise<void> {
  await mkdir(settings.directory, { recursive: true });
  if (!existsSync(keyPath)) await createKeyFile({ path: keyPath });
  const image = `example-${randomBytes(4).toString('hex')}`;
  await makeImage(
    image,
    Buffer.concat([randomBytes(SIZE / 3), Buffer.alloc(SIZE / 3), randomBytes(SIZE / 3)]),
  );
  const digest = await imageDigest(image);
  console.log(`made an image of ${SIZE} bytes`);

  // The engine of this process asks for jobs and tells about them; it runs none.
  await using engine = await startEngine({ worker: false });
  const session = engine.for(identity);
  const protects: Job<ProtectResult>[] = [];
  for (const provider of PROVIDERS) protects.push(await protect(session, image, provider));
  console.log('asked to protect it twice, while there is no worker');
  await showJobs(session);

  const worker = spawn(process.execPath, [fileURLToPath(new URL('worker.ts', import.meta.url))], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const gone = once(worker, 'close');
  const early = gone.then(() => Promise.reject(new Error('the worker has ended too early')));
  try {
    await Promise.race([early, follow(session, image, digest, protects)]);
  } finally {
    early.catch(() => undefined);
    worker.kill('SIGTERM');
    await gone;
  }
}

async function follow(
  session: Session,
  image: string,
  digest: string,
  protects: readonly Job<ProtectResult>[],
): Promise<void> {
  await begun(session, protects);
  console.log('now there is one');
  await showJobs(session);
  const results = await Promise.all(protects.map((job) => job.result()));
  await removeImage(image);
  console.log('protected it, and removed it');

  for (const [at, { checkpoint }] of results.entries()) {
    const provider = PROVIDERS[at] ?? '';
    const restore = await session.restore(checkpoint, { to: provider });
    await restore.result();
    for await (const { to } of session.jobs.standIns(restore.id)) {
      const verdict = (await imageDigest(to.id)) === digest ? 'identical' : 'different';
      console.log(`restored by ${provider}: ${verdict}`);
      if (verdict === 'different') process.exitCode = 1;
      await removeImage(to.id);
    }
    await (await session.remove(checkpoint)).result();
  }
  await showJobs(session);
}

/** Waits until somebody has taken one of the jobs. */
async function begun(session: Session, jobs: readonly Job<unknown>[]): Promise<void> {
  for (;;) {
    for (const { id } of jobs) if ((await session.jobs.get(id))?.state !== 'queued') return;
    await setTimeout(20);
  }
}

async function protect(session: Session, image: string, provider: string): Promise<Job<ProtectResult>> {
  const resources = [{ type: IMAGE, id: image }];
  const plan = await session.plans.create({ name: `${image} ${provider}`, provider, resources });
  return session.protect(plan.id);
}

try {
  await main();
} catch (error) {
  const hint = FafnirError.is(error) ? `\n${error.code}: ${error.hint}` : '';
  console.error(`the example failed: ${error instanceof Error ? error.message : String(error)}${hint}`);
  process.exitCode = 1;
}
