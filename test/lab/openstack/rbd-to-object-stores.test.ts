import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { s3Bank } from '../../../src/banks/s3.ts';
import { ensureBuilt, repository } from '../../examples/built.ts';
import { type Ceph, cephLab } from '../ceph/ceph.ts';
import { clear, left } from '../ceph/pool.ts';
import { cloudOf, emptyContainer, makeContainer, removeContainer } from './containers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';

const labs = { ...openStackLab(), ...cephLab(), skipped: openStackLab().skipped ?? cephLab().skipped };
const { openstack, ceph, skipped } = labs;
const main = join(repository, 'examples', 'rbd-to-object-stores', 'main.ts');
const live = { signal: new AbortController().signal };

if (openstack === undefined || ceph === undefined)
  describe.skip(`RBD to object stores (${skipped})`, () => test('needs both labs', () => undefined));
else describe('RBD to object stores', () => suite(openstack, ceph));

function suite(lab: OpenStack, ceph: Ceph): void {
  beforeAll(ensureBuilt);

  test('images come back from Swift and from S3, by jobs from outside of the worker', async () => {
    const { rbd, endpoint, region, owner } = ceph;
    const name = `example-${randomUUID()}`;
    const cloud = cloudOf(lab, lab.sites.a);
    const directory = await mkdtemp(join(tmpdir(), 'fafnir-example-'));
    const swift = { ...cloud, container: name, prefix: 'fafnir', listingDelayMilliseconds: 0 };
    const s3 = { bucket: 'fafnir', prefix: name, endpoint, region, credentials: owner };
    const path = join(directory, 'settings.json');
    await writeFile(path, JSON.stringify({ directory, rbd, swift, s3 }), { mode: 0o600 });
    await makeContainer(cloud, name);

    const env = { ...process.env, FAFNIR_EXAMPLE_SETTINGS: path };
    const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'close');
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = await ended;
    console.log(stdout);

    const bank = s3Bank({ name: 's3', ...s3 });
    const keys: string[] = [];
    for await (const { key } of bank.list('', live)) keys.push(key);
    await bank.remove(keys, live);
    await emptyContainer(cloud, name);
    await removeContainer(cloud, name);
    await rm(directory, { recursive: true });
    const images = await left(ceph, 'example-');
    await clear(ceph, 'example-');

    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    // Two processes write; only lines of one of them come in order.
    const lines = stdout.split('\n').filter((line) => !line.startsWith('worker: '));
    const asked = lines.indexOf('asked to protect it twice, while there is no worker');
    expect(lines.slice(asked + 1, asked + 3)).toEqual(Array(2).fill('  future   protect  queued'));
    expect(lines).toContain('restored by to-swift: identical');
    expect(lines).toContain('restored by to-s3: identical');
    const operations = ['protect', 'protect', 'restore', 'remove ', 'restore', 'remove '];
    expect(lines.slice(-7, -1)).toEqual(operations.map((one) => `  past     ${one}  succeeded`));
    expect(stdout).toContain('worker: restore has begun');
    const page = await readFile(join(repository, 'docs', 'processes.md'), 'utf8');
    // When the worker takes a job is up to the machine.
    const certain = lines.filter((line) => !/^ {2}(current|future)/.test(line));
    for (const line of certain) expect(page).toContain(`${line}\n`);
    expect(images).toEqual([]);
  });
}
