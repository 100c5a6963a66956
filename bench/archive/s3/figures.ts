import type { Figure } from '../../figure.ts';
import { median, rangeOf } from '../figures.ts';
import type { Sheet } from '../sheet.ts';
import type { Uploader } from './rival.ts';
import { FULL } from './round.ts';

const MOST_RATIO = 1;
const MOST_PUTS_PER_PACK = 1.1;
const MOST_OTHER_PUTS = 10;

/** What the rounds come to. */
export function s3FiguresOf(sheets: readonly Sheet[], name: string, rival: Uploader): readonly Figure[] {
  const each = (read: (sheet: Sheet) => number): readonly number[] => sheets.map(read);
  const seconds = each((sheet) => sheet.of(FULL, name, 'seconds'));
  const ratios = each((sheet) => sheet.of(FULL, name, 'seconds') / sheet.of(FULL, rival.name, 'seconds'));
  const puts = each((sheet) => sheet.get(`${FULL}/puts`));
  const packs = each((sheet) => sheet.get(`${FULL}/packs`));
  const limits = packs.map((count) => MOST_PUTS_PER_PACK * count + MOST_OTHER_PUTS);
  const peaks = each((sheet) => sheet.of(FULL, name, 'peak'));
  const rounds = sheets.length;
  const ratio = median(ratios);
  const sum = `${MOST_PUTS_PER_PACK} x ${median(packs)} packs + ${MOST_OTHER_PUTS}`;
  return [
    {
      name: `${FULL} vs ${rival.name}`,
      value: median(seconds),
      unit: 's',
      rival: rival.label,
      ratio,
      range: rangeOf(ratios),
      goal: `ratio <= ${MOST_RATIO.toFixed(1)}`,
      met: ratio <= MOST_RATIO,
      rounds,
    },
    {
      name: 'S3 PUTs',
      value: median(puts),
      unit: 'requests',
      rival: null,
      ratio: null,
      range: rangeOf(puts),
      goal: `<= ${sum} = ${median(limits).toFixed(1)}`,
      // A count has no quieter moments: every round keeps to its own.
      met: puts.every((count, at) => count <= (limits[at] ?? NaN)),
      rounds,
    },
    {
      name: 'S3 peak memory',
      value: median(peaks),
      unit: 'MiB',
      rival: null,
      ratio: null,
      range: rangeOf(peaks),
      goal: null,
      met: null,
      rounds,
    },
  ];
}
