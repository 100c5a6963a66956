import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../programs.ts';
import { readSettings } from './bank.ts';

const LAB = fileURLToPath(new URL('../../../.lab/ceph/s3.json', import.meta.url));

/** An S3 service, and how `aws` speaks to it. */
export interface Service {
  /** The file with its settings. */
  readonly settings: string;
  /** Of `aws`, before its command. */
  readonly parameters: readonly string[];
  /** Of `aws`, with what only the environment may hold. */
  readonly env: Readonly<Record<string, string>>;
}

/** A bucket that goes with all that is in it. */
export interface Bucket extends AsyncDisposable {
  /** Unique in the service. */
  readonly name: string;
}

/** The service that `FAFNIR_LAB_CEPH` names, or that of the lab of this checkout. */
export async function findService(): Promise<Service> {
  const named = process.env.FAFNIR_LAB_CEPH ?? '';
  const settings = named === '' ? LAB : resolve(named);
  if (!existsSync(settings)) {
    const hint = '`npm run lab:ceph` starts one (as root) and prints how FAFNIR_LAB_CEPH names it';
    throw new Error(`no S3 service: there is no ${settings}; ${hint}`);
  }
  const { endpoint, region, owner } = await readSettings(settings);
  return {
    settings,
    parameters: ['--endpoint-url', endpoint, '--region', region],
    env: {
      AWS_ACCESS_KEY_ID: owner.accessKeyId,
      AWS_SECRET_ACCESS_KEY: owner.secretAccessKey,
      // What this user has set up for other services must neither speed it up nor slow it down.
      AWS_SESSION_TOKEN: '',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
  };
}

/** Makes an empty bucket. */
export async function makeBucket({ settings, parameters, env }: Service): Promise<Bucket> {
  const name = `fafnir-bench-${randomUUID()}`;
  const aws = (command: string, ...more: readonly string[]) =>
    run('aws', [...parameters, 's3', command, `s3://${name}`, ...more], { env });
  await aws('mb');
  return {
    name,
    async [Symbol.asyncDispose]() {
      await aws('rb', '--force');
      await giveSpaceBack(settings);
    },
  };
}

/** Ceph keeps what was removed for two hours unless told otherwise, and the lab's disk does not hold many rounds. */
async function giveSpaceBack(settings: string): Promise<void> {
  const configuration = join(dirname(settings), 'ceph.conf');
  if (!existsSync(configuration)) return;
  await run('radosgw-admin', ['-c', configuration, 'gc', 'process', '--include-all']);
}
