import type { Case } from './case.ts';

/** How many cases of each kind. */
export interface Size {
  /** Single deaths; `all` for one at every boundary. */
  readonly kills: number | 'all';
  /** Deaths of the one who recovers too. */
  readonly doubleKills: number;
  /** Workers that stop and go on. */
  readonly zombies: number;
  /** Job databases that are lost. */
  readonly lostDatabases: number;
  /** Zombies of a store that forgets to compare epochs. */
  readonly mutants: number;
}

/** The boundaries of each scenario when nobody dies, in order. */
export type Boundaries = ReadonlyMap<string, readonly string[]>;

/** The farthest boundary at which one who recovers is struck. */
const FARTHEST_SECOND = 60;
/** The first boundary of one who recovers at which the job is its own. */
const TAKEN_OVER = 2;

/** Chooses cases all over the scenarios; the same for the same seed. */
export function sampleCases(boundaries: Boundaries, size: Size, seed: number): readonly Case[] {
  const random = randomNumbers(seed);
  const points = [...boundaries].flatMap(([scenario, labels]) =>
    labels.map((label, position) => ({ scenario, label, at: position + 1 })),
  );
  const owned = points.filter(({ scenario, at }) => isOwned(boundaries.get(scenario) ?? [], at));
  const second = (): number => TAKEN_OVER + Math.floor(random() * (FARTHEST_SECOND - TAKEN_OVER));
  return [
    ...spread(points, size.kills, random).map(({ scenario, at }) => ({
      scenario,
      at,
      kind: 'kill' as const,
    })),
    ...spread(points, size.doubleKills, random).map(({ scenario, at }) => ({
      scenario,
      at,
      kind: 'double-kill' as const,
      second: second(),
    })),
    ...spread(points, size.lostDatabases, random).map(({ scenario, at }) => ({
      scenario,
      at,
      kind: 'lost-database' as const,
    })),
    ...spread(owned, size.zombies, random).map(({ scenario, at }) => ({
      scenario,
      at,
      kind: 'zombie' as const,
      second: second(),
    })),
    ...spread(owned, size.mutants, random).map(({ scenario, at }) => ({
      scenario,
      at,
      kind: 'zombie' as const,
      second: second(),
      mutant: true,
    })),
  ];
}

/** Whether a job is under way at this boundary: before and after it, a worker that stops is no zombie. */
function isOwned(labels: readonly string[], at: number): boolean {
  return at > labels.indexOf('store.claim after') && at <= labels.indexOf('store.finish before') + 1;
}

/** So many, at even distances but for chance. */
function spread<Item>(items: readonly Item[], count: number | 'all', random: () => number): readonly Item[] {
  if (count === 'all') return items;
  return Array.from({ length: count }, (_, at) => {
    return items[Math.floor(((at + random()) * items.length) / count)];
  }).filter((item) => item !== undefined);
}

/** Numbers from 0 up to 1 that look like chance (xorshift). */
function randomNumbers(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
