import { expect } from 'vitest';
import type { ErrorCode, Job, JobId } from '../../../src/index.ts';
import { everything, failure, type World } from './world.ts';

/** The work is refused with the code, and sites and bank are as before. */
export async function refused(
  world: World,
  work: () => unknown,
  code: ErrorCode,
  message: RegExp = /./,
): Promise<void> {
  const before = await everything(world);
  const error = await failure(work);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(error.hint).not.toBe('');
  expect(await everything(world)).toEqual(before);
}

/** A job that fails with the code and says so in its record, while sites and bank are as before. */
export async function fails(
  world: World,
  start: () => Promise<Job<unknown>>,
  code: ErrorCode,
  message: RegExp = /./,
): Promise<void> {
  let id: JobId | undefined;
  const run = async (): Promise<unknown> => {
    const job = await start();
    id = job.id;
    return job.result();
  };
  await refused(world, run, code, message);
  const record = id && (await world.acme.jobs.get(id));
  expect(record).toMatchObject({ state: 'failed', outcome: { state: 'failed', error: { code } } });
}
