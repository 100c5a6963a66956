import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureBuilt, repository } from '../../examples/built.ts';
import { cloudOf, shareContainer } from './containers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { removeRestored } from './restored.ts';
import { makeShop } from './shop.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 40 * 60_000;
const ID = /\b[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b/;

if (openstack === undefined)
  describe.skip(`the example of three tiers (${skipped})`, () => test('needs the lab', () => undefined));
else describe('the example of three tiers', () => suite(openstack));

function suite(lab: OpenStack): void {
  const ends: (() => Promise<unknown>)[] = [];
  let [source, destination]: Project[] = [];
  beforeAll(async () => {
    await ensureBuilt();
    for (const at of [0, 1]) {
      const project = await newProject(lab);
      ends.unshift(() => project.end());
      if (at === 0) source = project;
      else destination = project;
    }
    if (source !== undefined) await makeShop(source, lab);
  }, MINUTES);
  afterAll(async () => {
    for (const end of ends) await end();
  }, MINUTES);

  test(
    'prints what the page shows, and makes the application again',
    async () => {
      if (source === undefined || destination === undefined) throw new Error('there are no projects');
      const directory = await mkdtemp(join(tmpdir(), 'fafnir-example-'));
      const container = await shareContainer(cloudOf(lab, lab.sites.b));
      try {
        const settings = {
          directory,
          from: cloudOf(lab, source.account),
          to: cloudOf(lab, destination.account),
          volumes: { volumeType: 'file', paths: [{ kind: 'files', folder: lab.files }] },
          swift: { ...cloudOf(lab, lab.sites.b), container: container.name, listingDelayMilliseconds: 0 },
        };
        const path = join(directory, 'settings.json');
        await writeFile(path, JSON.stringify(settings), { mode: 0o600 });
        const main = join(repository, 'examples', 'openstack-three-tier.ts');
        const child = spawn(process.execPath, [main, path], { stdio: ['ignore', 'pipe', 'pipe'] });
        const ended = once(child, 'close');
        const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
        const [code] = await ended;
        console.log(stdout);
        expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
        const page = await readFile(join(repository, 'docs', 'openstack.md'), 'utf8');
        for (const line of stdout.trim().split('\n')) {
          if (!ID.test(line)) expect(page).toContain(`${line}\n`);
        }
        expect((await removeRestored(destination)).length).toBeGreaterThan(20);
      } finally {
        await container.end();
        await rm(directory, { recursive: true });
      }
    },
    MINUTES,
  );
}
