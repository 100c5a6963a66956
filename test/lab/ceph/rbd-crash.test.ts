import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderTable } from '../../../bench/run.ts';
import { Harness } from '../../crash/harness.ts';
import { look } from '../../crash/look.ts';
import { figuresOf, renderVerdict } from '../../crash/report.ts';
import { localSite } from '../../crash/local-site.ts';
import { rbdStorage } from '../../crash/rbd-storage.ts';
import type { SiteStorage } from '../../crash/site-storage.ts';
import { sqliteCases } from '../../crash/sqlite-cases.ts';
import { type Ceph, cephLab } from './ceph.ts';
import { rbd, written } from './pool.ts';

/** Some of all that `npm run crash -- --site rbd --full` does: of each strategy a take, an archive and a clean-up. */
const KILLS: readonly (readonly [scenario: string, at: string])[] = [
  ['protect-kept', 'rbd snap create started'],
  ['protect-kept', 'a.array.snapshot after'],
  ['protect', 'a.Local::Server.quiescing.quiesce after'],
  ['protect', 'rbd snap rename started#2'],
  ['protect', 'bank.put commits after'],
  ['protect-again', 'rbd export-diff started'],
  ['protect-again', 'rbd snap rm started'],
  ['protect-background', 'a.array.open.blocks after'],
  ['protect-two', 'a.array.remove before'],
  ['archive', 'rbd snap rm started#2'],
  ['remove-flagged', 'a.array.remove after'],
  ['protect-cancelled', 'rbd snap rm started'],
];

const { ceph, skipped } = cephLab();
if (ceph === undefined)
  describe.skip(`processes that die over RBD (${skipped})`, () => test('needs the lab', () => undefined));
else describe('processes that die over RBD', () => suite(ceph));

function suite(lab: Ceph): void {
  let harness: Harness;
  let storage: SiteStorage;
  beforeAll(async () => {
    storage = rbdStorage();
    harness = await Harness.open(localSite(storage));
  });
  afterAll(() => harness[Symbol.asyncDispose]());

  test('leave a job that another ends as documented, no orphan and no pause', async () => {
    const cases = KILLS.map(([scenario, at]) => ({ scenario, at, kind: 'kill' as const }));
    const verdicts = await harness.run(cases, () => undefined);
    const figures = figuresOf(verdicts, KILLS.length);
    console.log(renderTable(figures));
    const broken = verdicts.filter(({ problems, struck }) => problems.length > 0 || struck.length === 0);
    expect(broken.map((verdict) => renderVerdict(verdict, harness.site))).toEqual([]);
    expect(figures.filter(({ met }) => met === false)).toEqual([]);
  });

  test('would be seen to leave a snapshot, an image, or other bytes', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'fafnir-crash-'));
    try {
      await harness.begin('protect', directory);
      await writeFile(join(directory, 'ledger.jsonl'), '');
      const [image, stray] = ['web-root', 'stray'].map((id) => storage.volumeId(directory, id));
      await rbd(lab, 'snap', 'create', `${lab.rbd.pool}/${image}@late.partial`);
      await rbd(lab, 'create', '--size', '1M', `${lab.rbd.pool}/${stray}`);
      const volume = { array: 'rbd', id: storage.volumeId(directory, 'db-root'), size: 1100 * 1024 };
      await written(lab, volume, 500_000, Buffer.from('changed'));
      expect(
        await look(directory, { storage, jobs: sqliteCases, told: [], lost: false, patience: 200 }),
      ).toEqual([
        { count: 'wrong ends', text: `nobody knows image ${stray}` },
        { count: 'wrong ends', text: `image ${volume.id} was changed` },
        { count: 'orphans', text: `snapshot late.partial of ${image} is in no available checkpoint` },
      ]);
    } finally {
      await storage.clear(directory);
      await rm(directory, { recursive: true });
    }
  });
}
