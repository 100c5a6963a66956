import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeImage } from './archive/image.ts';
import { s3FiguresOf } from './archive/s3/figures.ts';
import { assertPrograms } from './archive/programs.ts';
import { uploader } from './archive/s3/rival.ts';
import { playS3Round } from './archive/s3/round.ts';
import { findService } from './archive/s3/service.ts';
import { readSettings } from './archive/settings.ts';
import { Sheet } from './archive/sheet.ts';
import type { Figure } from './figure.ts';

const NAME = 'fafnir';

/**
 * A full archive on S3 of the image of the bench `archive`, beside what a shell offers. The service is the one that
 * `FAFNIR_LAB_CEPH` names, or that `npm run lab:ceph` has started. Every copy goes to a bucket of its own that is removed
 * after the round. `BENCH_ROUNDS`, `BENCH_IMAGE_MIB` and `BENCH_KEEP` are those of `archive`.
 */
export async function run(): Promise<readonly Figure[]> {
  const { rounds, mebibytes, keep } = readSettings();
  await assertPrograms({ aws: 'awscli' });
  const service = await findService();
  const rival = await uploader(service);
  console.error(`${NAME} beside ${rival.label}`);
  const image = await makeImage(mebibytes);
  const sheets: Sheet[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const sheet = new Sheet(round);
      const folder = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
      try {
        await playS3Round({ service, name: NAME, rival, image, folder, sheet });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      sheets.push(sheet);
    }
  } finally {
    if (!keep) await rm(image, { force: true });
  }
  return s3FiguresOf(sheets, NAME, rival);
}
