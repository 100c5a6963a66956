import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** Where everything that the demo makes is. */
export const directory: string = process.env.FAFNIR_DEMO_DIRECTORY ?? join(repository, '.demo');

type Place = 'siteA' | 'siteB' | 'bank' | 'store' | 'stage' | 'discarded';

/** What is in it. Nothing else there is touched. */
export const paths: Readonly<Record<Place, string>> = {
  siteA: join(directory, 'site-a'),
  siteB: join(directory, 'site-b'),
  bank: join(directory, 'bank'),
  store: join(directory, 'store'),
  stage: join(directory, 'stage'),
  discarded: join(directory, 'discarded'),
};

/** The key file of the bank. Kept from run to run, since nothing that it wrapped could be read without it. */
export const keyPath: string = join(directory, 'keys.json');

/** Bytes of each volume. */
export const volumeSize: number = mebibytes(process.env.FAFNIR_DEMO_VOLUME_MIB ?? '192') * 1024 ** 2;

function mebibytes(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 8) return number;
  throw new Error(`FAFNIR_DEMO_VOLUME_MIB must be a whole number from 8 on, and is ${text}`);
}
