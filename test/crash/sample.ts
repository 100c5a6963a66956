import type { Case } from './case.ts';
import { BEFORE_EFFECT } from './ports.ts';

/** How many cases of each kind. */
export interface Size {
  /** Single deaths, and more where a scenario would have none; `all` for one at every boundary. */
  readonly kills: number | 'all';
  /** Deaths of the one who recovers too. */
  readonly doubleKills: number;
  /** Workers that stop and go on; `all` for one at every boundary of a job under way. */
  readonly zombies: number | 'all';
  /** Job databases that are lost. */
  readonly lostDatabases: number;
  /** Workers whose last call arrives late; `all` for one at every effect. */
  readonly lateEffects: number | 'all';
  /** Zombies of a store that forgets to compare epochs. */
  readonly mutants: number;
}

/** One of so many parts of a run, which together are all of it. */
export interface Shard {
  /** From 1. */
  readonly number: number;
  readonly of: number;
}

/** The places of each scenario when nobody dies, in order. */
export type Places = ReadonlyMap<string, readonly string[]>;

/** The farthest boundary at which one who recovers is struck. */
const FARTHEST_SECOND = 60;
/** The first boundary of one who recovers at which the job is its own. */
const TAKEN_OVER = 2;

/** Kinds in which the one who recovers is struck as well. */
const ENCOUNTERS: readonly Case['kind'][] = ['double-kill', 'zombie'];

/** A boundary of a scenario. */
interface Point {
  readonly scenario: string;
  readonly at: string;
  /** Whether a job is under way there: before and after it, a worker that stops is no zombie. */
  readonly isOwned: boolean;
}

/** Chooses cases all over the scenarios; the same for the same seed. */
export function sampleCases(placesOf: Places, size: Size, seed: number): readonly Case[] {
  const random = randomNumbers(seed);
  const points: readonly Point[] = [...placesOf].flatMap(([scenario, places]) =>
    places.map((at, position) => ({ scenario, at, isOwned: isOwned(places, position) })),
  );
  const owned = points.filter((point) => point.isOwned);
  const effects = owned.filter(({ at }) => BEFORE_EFFECT.test(at));
  const second = (): number => TAKEN_OVER + Math.floor(random() * (FARTHEST_SECOND - TAKEN_OVER));
  const choose = (kind: Case['kind'], of: readonly Point[], count: number | 'all'): readonly Case[] =>
    spread(of, count, random).map(({ scenario, at }) => ({
      scenario,
      kind,
      at,
      ...(ENCOUNTERS.includes(kind) ? { second: second() } : {}),
    }));
  const kills = choose('kill', points, size.kills);
  const missed = [...placesOf.keys()].filter((name) => !kills.some(({ scenario }) => scenario === name));
  const ofScenario = (name: string): readonly Point[] => owned.filter(({ scenario }) => scenario === name);
  return [
    ...kills,
    ...missed.flatMap((name) => choose('kill', ofScenario(name), 1)),
    ...choose('double-kill', points, size.doubleKills),
    ...choose('lost-database', points, size.lostDatabases),
    ...choose('zombie', owned, size.zombies),
    ...choose('late-effect', effects, size.lateEffects),
    ...choose('zombie', owned, size.mutants).map((one) => ({ ...one, mutant: true })),
  ];
}

/** A part of cases, with some of every kind. */
export function shardOf(cases: readonly Case[], { number, of }: Shard): readonly Case[] {
  return cases.filter((_, at) => at % of === number - 1);
}

function isOwned(places: readonly string[], position: number): boolean {
  const [claimed, finished] = [
    places.indexOf('store.claim after'),
    places.lastIndexOf('store.finish before'),
  ];
  return position >= claimed && position <= finished;
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
