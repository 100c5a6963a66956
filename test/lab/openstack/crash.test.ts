import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { openStackClient } from '../../../src/clients/openstack/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { Harness } from '../../crash/harness.ts';
import { openStackSite } from '../../crash/openstack/site.ts';
import { sqliteCases } from '../../crash/sqlite-cases.ts';
import { readCloud } from '../../crash/openstack/world.ts';
import { pathsOf } from '../../crash/paths.ts';
import { readFacts, scenarioOf } from '../../crash/scenario.ts';
import { cloudOf } from './containers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const SCENARIO = 'cloud-restore';
const live = { signal: new AbortController().signal };

if (openstack === undefined)
  describe.skip(`what processes leave that die over OpenStack (${skipped})`, () =>
    test('needs the lab', () => undefined));
else describe('what processes leave that die over OpenStack', () => suite(openstack));

function suite(lab: OpenStack): void {
  const site = openStackSite(sqliteCases);
  let harness: Harness;
  let directory: string;
  beforeAll(async () => {
    harness = await Harness.open(site);
    directory = await mkdtemp(join(tmpdir(), 'fafnir-crash-'));
    await harness.begin(SCENARIO, directory);
    await writeFile(join(directory, 'ledger.jsonl'), '');
  });
  afterAll(async () => {
    await site.clear(directory);
    await rm(directory, { recursive: true });
    await harness[Symbol.asyncDispose]();
  });

  test('would be seen: other bytes, one resource too much, a snapshot', async () => {
    const { a, b, volumes } = await readCloud(directory);
    const [root = '', data = ''] = volumes;
    const restored = await restore(root);
    await using file = await open(join(lab.files, `volume-${restored}`), 'r+');
    await file.write(Buffer.from('changed'), 0, 7, 500_000_000);

    await using from = openStackClient(cloudOf(lab, a.account));
    await using to = openStackClient(cloudOf(lab, b.account));
    const [snapshot, group] = [from.service('block-storage'), to.service('network')];
    const made = { method: 'POST', answer: z.looseObject({}) } as const;
    const late = { snapshot: { volume_id: data, name: 'late', force: true } };
    await snapshot.request({ ...made, path: ['snapshots'], body: late }, live);
    const stray = { security_group: { name: 'stray' } };
    const answer = z.object({ security_group: z.object({ id: z.string() }) });
    const { id } = (await group.request({ ...made, path: ['security-groups'], body: stray, answer }, live))
      .security_group;
    try {
      const seen = await site.look(directory, { told: [], lost: false });
      const textsOf = (wanted: string): string => {
        const texts = seen.filter(({ count }) => count === wanted).map(({ text }) => text);
        return texts.join('\n');
      };
      expect(textsOf('wrong ends')).toContain(`volume ${root} was restored with other bytes`);
      expect(textsOf('wrong ends')).not.toContain(`volume ${data}`);
      expect(textsOf('wrong ends')).toMatch(/there are .*3 security_groups.* but .*2 security_groups/);
      expect(textsOf('orphans')).toContain(`security_groups/${id} is left over`);
      expect(textsOf('orphans')).toContain(`snapshots/late of ${data} is left over`);
      expect(textsOf('lost commits')).toBe('');
    } finally {
      const path = ['security-groups', id];
      await group.request({ method: 'DELETE', path, answer: z.unknown() }, live);
    }
  });

  /** Restores the checkpoint, and tells what stands for a volume. */
  async function restore(volume: string): Promise<string | undefined> {
    await using world = await site.open(directory, { store: sqliteStore(pathsOf(directory).store) });
    const { start } = scenarioOf(SCENARIO);
    if (start === undefined) throw new Error(`${SCENARIO} starts no job`);
    const job = await start(world.session, await readFacts(directory));
    await job.result();
    for await (const { from, to } of world.session.jobs.standIns(job.id))
      if (from.id === volume) return to.id;
    return undefined;
  }
}
