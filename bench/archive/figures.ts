import type { Figure } from '../figure.ts';
import type { Lane } from './engine.ts';
import { LANE_OPERATION } from './lanes.ts';
import { OPERATIONS } from './round.ts';
import type { Sheet } from './sheet.ts';
import { SPARSE_OPERATIONS } from './sparse.ts';

const MEBIBYTE = 1024 * 1024;

/** Names in the sheets. */
export interface Names {
  /** The package's archive. */
  readonly ours: string;
  /** The same with small chunks. */
  readonly fine: string;
  /** Of rivals, with their versions. */
  readonly labels: ReadonlyMap<string, string>;
}

type Read = (sheet: Sheet) => number;

interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly value: Read;
  /** In the same unit, from the same round. */
  readonly other: Read;
  readonly rival: string;
  /** The most that the ratio may be. */
  readonly goal?: number | undefined;
}

interface Finding {
  readonly name: string;
  readonly unit: string;
  readonly value: Read;
  readonly goal?: readonly [relation: '<' | '<=', limit: number];
}

/** What the rounds come to. */
export function figuresOf(sheets: readonly Sheet[], names: Names): readonly Figure[] {
  const { ours, fine } = names;
  const labelOf = (rival: string): string => names.labels.get(rival) ?? rival;
  const time = (operation: string, rival: string, goal?: number): Figure =>
    compare(sheets, {
      name: `${operation} vs ${rival}`,
      unit: 's',
      // Small chunks are for scattered changes.
      value: (sheet) => sheet.of(operation, operation === OPERATIONS.scattered ? fine : ours, 'seconds'),
      other: (sheet) => sheet.of(operation, rival, 'seconds'),
      rival: labelOf(rival),
      goal,
    });
  const bytes = (title: string, what: string, who: string, rival: string, goal?: number): Figure =>
    compare(sheets, {
      name: `${title} vs ${rival}`,
      unit: 'MiB',
      value: (sheet) => sheet.get(`${what}/${who}`) / MEBIBYTE,
      other: (sheet) => sheet.get(`${what}/${rival}`) / MEBIBYTE,
      rival: labelOf(rival),
      goal,
    });
  const lane = (slower: Lane, goal: number): Figure =>
    compare(sheets, {
      name: `full, ${slower} lane vs worker lane`,
      unit: 's',
      value: (sheet) => sheet.of(LANE_OPERATION, slower, 'seconds'),
      other: (sheet) => sheet.of(LANE_OPERATION, 'worker', 'seconds'),
      rival: 'worker lane',
      goal: Number(goal.toFixed(2)),
    });
  const pipeline = 'zstd | openssl';
  const { dense, sparse, changed } = SPARSE_OPERATIONS;
  return [
    time(OPERATIONS.full, 'restic', 0.45),
    time(OPERATIONS.full, 'borg', 0.4),
    time(OPERATIONS.full, pipeline),
    time(OPERATIONS.full, 'cp'),
    time(OPERATIONS.unchanged, 'restic', 0.45),
    time(OPERATIONS.unchanged, 'borg', 0.4),
    time(OPERATIONS.clustered, 'restic', 0.12),
    time(OPERATIONS.clustered, 'borg', 0.08),
    time(OPERATIONS.scattered, 'restic', 0.2),
    time(OPERATIONS.scattered, 'borg', 0.12),
    find(sheets, {
      name: `${OPERATIONS.scattered}, default chunks`,
      unit: 's',
      value: (sheet) => sheet.of(OPERATIONS.scattered, ours, 'seconds'),
    }),
    time(OPERATIONS.deepVerify, 'restic', 0.75),
    time(OPERATIONS.deepVerify, 'borg', 0.6),
    find(sheets, {
      name: OPERATIONS.tagsVerify,
      unit: 's',
      value: (sheet) => sheet.of(OPERATIONS.tagsVerify, ours, 'seconds'),
    }),
    time(OPERATIONS.restore, 'restic', 0.9),
    time(OPERATIONS.restore, 'borg', 0.9),
    time(OPERATIONS.restore, pipeline),
    time(OPERATIONS.restore, 'cp'),
    bytes('bytes stored', 'stored', ours, 'restic', 1.1),
    bytes('bytes stored', 'stored', ours, 'borg', 1.18),
    bytes('growth after scattered change', 'growth', ours, 'restic', 1.05),
    bytes('growth after scattered change', 'growth', ours, 'borg', 0.95),
    bytes('growth after scattered change, small chunks', 'growth', fine, 'restic'),
    bytes('growth after scattered change, small chunks', 'growth', fine, 'borg'),
    find(sheets, {
      name: 'peak memory',
      unit: 'MiB',
      value: (sheet) => sheet.of(OPERATIONS.full, ours, 'peak'),
      goal: ['<=', 256],
    }),
    compare(sheets, {
      name: `CPU vs ${pipeline}`,
      unit: 's',
      value: (sheet) => sheet.of(OPERATIONS.full, ours, 'cpu'),
      other: (sheet) => sheet.of(OPERATIONS.full, pipeline, 'cpu'),
      rival: labelOf(pipeline),
      goal: 1.25,
    }),
    find(sheets, {
      name: 'event loop delay p99',
      unit: 'ms',
      value: (sheet) => sheet.get(`${OPERATIONS.full}/delay`),
      goal: ['<', 20],
    }),
    compare(sheets, {
      name: 'sparse 1 TiB: time vs its data alone',
      unit: 's',
      value: (sheet) => sheet.of(sparse, ours, 'seconds'),
      other: (sheet) => sheet.of(dense, ours, 'seconds'),
      rival: 'its data alone',
      goal: 1.5,
    }),
    find(sheets, {
      name: 'sparse 1 TiB: memory growth',
      unit: 'MiB',
      value: (sheet) => sheet.of(sparse, ours, 'peak') - sheet.of(dense, ours, 'peak'),
      goal: ['<=', 32],
    }),
    lane('host', 1 / 0.9),
    lane('stream', 1 / 0.7),
    find(sheets, {
      name: 'sparse 1 TiB incremental CPU',
      unit: 's',
      value: (sheet) => sheet.of(changed, ours, 'cpu'),
      goal: ['<', 1],
    }),
  ];
}

function compare(sheets: readonly Sheet[], { name, unit, value, other, rival, goal }: Comparison): Figure {
  const ratios = sheets.map((sheet) => value(sheet) / other(sheet));
  const ratio = median(ratios);
  return {
    name,
    value: median(sheets.map(value)),
    unit,
    rival,
    ratio,
    range: rangeOf(ratios),
    goal: goal === undefined ? null : `ratio <= ${goal}`,
    met: goal === undefined ? null : ratio <= goal,
    rounds: sheets.length,
  };
}

function find(sheets: readonly Sheet[], { name, unit, value: read, goal }: Finding): Figure {
  const values = sheets.map(read);
  const value = median(values);
  const alone = {
    name,
    value,
    unit,
    rival: null,
    ratio: null,
    range: rangeOf(values),
    rounds: sheets.length,
  };
  if (goal === undefined) return { ...alone, goal: null, met: null };
  const [relation, limit] = goal;
  const met = relation === '<' ? value < limit : value <= limit;
  return { ...alone, goal: `${relation} ${limit} ${unit}`, met };
}

/** The least and the greatest. */
export const rangeOf = (values: readonly number[]): readonly [number, number] => [
  Math.min(...values),
  Math.max(...values),
];

/** The one in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}
