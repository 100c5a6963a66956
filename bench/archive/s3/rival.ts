import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Copies, Place } from '../contender.ts';
import { measure, run } from '../programs.ts';
import type { Service } from './service.ts';

/** Who copies to S3 as a shell does it. */
export interface Uploader {
  /** In the tables. */
  readonly name: string;
  /** With the versions. */
  readonly label: string;
  /** Begins with an empty bucket. */
  start(place: Place, bucket: string): Copies;
}

/** One stream, compressed, encrypted and uploaded, without a check of what comes back. */
export async function uploader({ parameters, env }: Service): Promise<Uploader> {
  const [zstd = ''] = /\d+\.\d+\.\d+/.exec(await run('zstd', ['--version'])) ?? [];
  const [, openssl = ''] = (await run('openssl', ['version'])).split(' ');
  const [, aws = ''] = /^aws-cli\/(\S+)/.exec(await run('aws', ['--version'])) ?? [];
  const cipher = 'openssl enc -aes-256-ctr -pbkdf2 -pass env:PASSWORD';
  return {
    name: 'zstd | openssl | aws s3 cp',
    label: `zstd ${zstd} -1 | openssl ${openssl} | aws-cli ${aws}`,
    start({ volume }, bucket) {
      const surroundings = { ...env, PASSWORD: randomUUID(), stored: `s3://${bucket}/stored` };
      const shell = (script: string, variables: Readonly<Record<string, string>>) =>
        measure('bash', ['-o', 'pipefail', '-c', script, 'bash', ...parameters], {
          env: { ...surroundings, ...variables },
        });
      return {
        copy: async () => {
          // More than the stream will have, so that its parts are never too many.
          const size = String((await stat(volume)).size);
          const upload = 'aws "$@" s3 cp --only-show-errors --expected-size "$size" - "$stored"';
          return shell(`zstd -1 -q -c "$path" | ${cipher} | ${upload}`, { path: volume, size });
        },
        restore: async (target) => {
          const path = join(target, 'restored.img');
          const download = 'aws "$@" s3 cp --only-show-errors "$stored" -';
          const script = `${download} | ${cipher} -d | zstd -d -q --sparse -o "$path" && sync "$path"`;
          return { path, cost: await shell(script, { path }) };
        },
      };
    },
  };
}
