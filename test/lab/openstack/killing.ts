import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { FafnirError } from '../../../src/core/errors.ts';

/** Starts a program of this folder, lets it work for a while from when it first says something, and kills it. */
export async function killAt(program: string, order: unknown, milliseconds: number): Promise<void> {
  const env = { ...process.env, ORDER: JSON.stringify(order) };
  const path = join(import.meta.dirname, program);
  const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  await delay(milliseconds);
  child.kill('SIGKILL');
  const [, signal] = await ended;
  if (signal !== 'SIGKILL') throw new Error(`${program} ended by itself`);
}

/** What a program that `killAt` started is to work on. */
export const orderOf = <Order>(): Order => z.custom<Order>().parse(JSON.parse(process.env.ORDER ?? ''));

/** Does as the engine does with what may be tried again. */
export async function again(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!FafnirError.is(error) || !error.retryable || attempt === 5) throw error;
      await delay(500);
    }
  }
}
