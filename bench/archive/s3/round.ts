import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bankKeys } from '../../../src/core/archive/keys.ts';
import type { Copies } from '../contender.ts';
import { TENANT } from '../engine.ts';
import { oursOnS3 } from '../ours.ts';
import { run } from '../programs.ts';
import type { Sheet } from '../sheet.ts';
import { openS3Bank, type S3Place } from './bank.ts';
import type { Uploader } from './rival.ts';
import { makeBucket, type Service } from './service.ts';

/** The operation, as the figures name it. */
export const FULL = 'S3 full';

/** Where and with whom a round is played. */
export interface S3Round {
  /** Where the copies go. */
  readonly service: Service;
  /** The package, in the tables. */
  readonly name: string;
  /** The other one. */
  readonly rival: Uploader;
  /** What is copied. */
  readonly image: string;
  /** An empty folder. */
  readonly folder: string;
  /** Takes the numbers. */
  readonly sheet: Sheet;
}

/** Both copy the image into an empty bucket of their own once, and prove that it comes back. */
export async function playS3Round(round: S3Round): Promise<void> {
  const { service, name, rival, image, folder, sheet } = round;
  const place = { folder, volume: image };
  await using ownBucket = await makeBucket(service);
  await using otherBucket = await makeBucket(service);
  const bank = { settings: service.settings, bucket: ownBucket.name };
  const own = await oursOnS3(place, bank);
  const both = [
    { name, copies: own },
    { name: rival.name, copies: rival.start(place, otherBucket.name) },
  ];
  // So that both find it in memory, also the first.
  await run('bash', ['-c', 'cat "$1" >/dev/null', 'bash', image]);
  await sheet.inTurns(both, async ({ name, copies }) => {
    sheet.enter(FULL, name, await copies.copy('unknown'));
    if (copies === own) sheet.set(`${FULL}/puts`, own.puts);
  });
  sheet.set(`${FULL}/packs`, await countPacks(own.place));
  for (const { copies } of both) await proveRestore(copies, folder, image);
}

async function countPacks(place: S3Place): Promise<number> {
  const bank = await openS3Bank(place);
  const call = { signal: new AbortController().signal };
  let packs = 0;
  for await (const _pack of bank.list(bankKeys.packs(TENANT), call)) packs += 1;
  return packs;
}

/** Who is fast and wrong has not won. */
async function proveRestore(copies: Copies, folder: string, image: string): Promise<void> {
  const target = join(folder, 'restored');
  await mkdir(target);
  const { path } = await copies.restore(target);
  await run('cmp', [image, path]);
  await rm(target, { recursive: true });
}
