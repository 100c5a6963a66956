import * as z from 'zod';
import type { ArraySnapshot, StorageArray } from '../core/contracts/index.ts';
import { parseOptions } from '../core/options.ts';
import { hollowSource, shortSource, unchangedSource } from './lying-array/sources.ts';
import { droppingTarget, forgetfulTarget, repeatingTarget, withTarget } from './lying-array/targets.ts';

/**
 * A lie that {@link lyingArray} can tell; each row is one way in which an array says something that is not so.
 *
 * Success without effect: `snapshot-not-taken`, `snapshot-not-removed`, `revert-not-done` (resolves, and nothing has
 * happened), `clone-empty` (a volume that was made from a snapshot has nothing of it), `write-dropped` (no byte arrives),
 * `flush-lost` (what was written is gone after the flush).
 *
 * Duplicate delivery: `snapshot-taken-twice` (another, later snapshot stands under the name that was answered),
 * `snapshot-taken-late` (what was removed is there again, until it is removed again), `write-repeated` (each write
 * arrives once more before the next).
 *
 * Partial group: `group-incomplete` (the last member was not taken), `group-of-two-instants` (its instant is another), `group-of-anything`
(any volumes are called a group, and taken one after the other).
 *
 * What is there is other than told: `changes-too-small` (everything is called unchanged since the older snapshot),
 * `snapshot-vanishes` (found once, and never again), `wrong-size` (records tell of twice the bytes), `short-source` (an
 * opened snapshot has half of its bytes), `hole-in-map` (the map leaves a run out), `foreign-snapshot` (the answer is of
 * another volume).
 */
export type ArrayLie = (typeof ARRAY_LIES)[number];

/** Every lie that {@link lyingArray} can tell, so that a test can go through them all. */
export const ARRAY_LIES = [
  'snapshot-not-taken',
  'snapshot-not-removed',
  'revert-not-done',
  'clone-empty',
  'write-dropped',
  'flush-lost',
  'snapshot-taken-twice',
  'snapshot-taken-late',
  'write-repeated',
  'group-incomplete',
  'group-of-two-instants',
  'group-of-anything',
  'changes-too-small',
  'snapshot-vanishes',
  'wrong-size',
  'short-source',
  'hole-in-map',
  'foreign-snapshot',
] as const;

const lieSchema = z.enum(ARRAY_LIES);

/** Makes an array that tells one lie, and is else sound, out of a sound one: to show that the lie is found out. */
export function lyingArray(array: StorageArray, lie: ArrayLie): StorageArray {
  const tell = LIES[parseOptions('lyingArray', lieSchema, lie)];
  const sound = plain(array);
  return { ...sound, ...tell(sound) };
}

type Lies = Readonly<Record<ArrayLie, (sound: StorageArray) => Partial<StorageArray>>>;

const LIES: Lies = {
  'snapshot-not-taken': () => ({
    snapshot: async (volumes, name) =>
      volumes.map((volume) => ({ name, volume, reference: {}, takenAt: new Date(0).toISOString() })),
  }),
  'snapshot-not-removed': () => ({ remove: async () => undefined }),
  'revert-not-done': ({ revert }) => (revert === undefined ? {} : { revert: async () => undefined }),
  'clone-empty': ({ clone, target }) =>
    clone === undefined || target === undefined
      ? {}
      : { clone: ({ volume: { size } }, name, call) => target.create({ name, size }, call) },
  'write-dropped': (sound) => withTarget(sound, droppingTarget),
  'flush-lost': (sound) => withTarget(sound, forgetfulTarget),
  'snapshot-taken-twice': (sound) => ({
    async snapshot(volumes, name, call) {
      const first = await sound.snapshot(volumes, name, call);
      // Until the clock has moved, both would be of one instant.
      for (let second = first; instantOf(second) === instantOf(first); ) {
        for (const snapshot of second) await sound.remove(snapshot, call);
        second = await sound.snapshot(volumes, name, call);
      }
      return first;
    },
  }),
  'snapshot-taken-late': (sound) => {
    const late = new Map<string, ArraySnapshot>();
    const isLate = ({ name, volume }: ArraySnapshot): string => JSON.stringify([name, volume.id]);
    const removed = new Set<string>();
    return {
      async remove(snapshot, call) {
        await sound.remove(snapshot, call);
        const key = isLate(snapshot);
        if (!late.delete(key) && !removed.has(key)) late.set(key, snapshot);
        removed.add(key);
      },
      find: async (name, call) => [
        ...(await sound.find(name, call)),
        ...[...late.values()].filter((snapshot) => snapshot.name === name),
      ],
    };
  },
  'write-repeated': (sound) => withTarget(sound, repeatingTarget),
  'group-incomplete': (sound) => ({
    async snapshot(volumes, name, call) {
      const last = volumes.length > 1 ? volumes.at(-1) : undefined;
      const taken = await sound.snapshot(last === undefined ? volumes : volumes.slice(0, -1), name, call);
      const [first] = taken;
      return last === undefined || first === undefined ? taken : [...taken, { ...first, volume: last }];
    },
  }),
  'group-of-two-instants': (sound) => ({
    capabilities: async (call) => ({ ...(await sound.capabilities(call)), group: true }),
    snapshot: async (volumes, name, call) => oneLater(await sound.snapshot(volumes, name, call)),
    find: async (name, call) => oneLater(await sound.find(name, call)),
  }),
  'group-of-anything': (sound) => ({
    capabilities: async (call) => ({ ...(await sound.capabilities(call)), group: false, pointInTime: true }),
    isGroup: async () => true,
    snapshot: async (volumes, name, { signal }) => oneLater(await sound.snapshot(volumes, name, { signal })),
    find: async (name, call) => oneLater(await sound.find(name, call)),
  }),
  'changes-too-small': (sound) => ({
    capabilities: async (call) => ({ ...(await sound.capabilities(call)), changeBase: 'snapshot' }),
    async open(snapshot, { since }, call) {
      const source = await sound.open(snapshot, {}, call);
      return since === undefined ? source : unchangedSource(source);
    },
  }),
  'snapshot-vanishes': (sound) => ({
    async find(name, call) {
      const found = await sound.find(name, call);
      for (const snapshot of found) await sound.remove(snapshot, call);
      return found;
    },
  }),
  'wrong-size': (sound) => ({
    snapshot: async (volumes, name, call) => (await sound.snapshot(volumes, name, call)).map(ofTwiceTheSize),
    find: async (name, call) => (await sound.find(name, call)).map(ofTwiceTheSize),
  }),
  'short-source': (sound) => ({
    open: async (snapshot, options, call) => shortSource(await sound.open(snapshot, options, call)),
  }),
  'hole-in-map': (sound) => ({
    open: async (snapshot, options, call) => hollowSource(await sound.open(snapshot, options, call)),
  }),
  'foreign-snapshot': (sound) => ({
    snapshot: async (volumes, name, call) => (await sound.snapshot(volumes, name, call)).map(ofAnother),
  }),
};

const instantOf = (taken: readonly ArraySnapshot[]): string | undefined => taken[0]?.takenAt;

const oneLater = (taken: readonly ArraySnapshot[]): readonly ArraySnapshot[] =>
  taken.map((snapshot, at) => {
    if (taken.length === 1 || at < taken.length - 1) return snapshot;
    return { ...snapshot, takenAt: new Date(Date.parse(snapshot.takenAt) + 1_000).toISOString() };
  });

const ofTwiceTheSize = (snapshot: ArraySnapshot): ArraySnapshot => ({
  ...snapshot,
  volume: { ...snapshot.volume, size: 2 * snapshot.volume.size },
});

const ofAnother = (snapshot: ArraySnapshot): ArraySnapshot => ({
  ...snapshot,
  volume: { ...snapshot.volume, id: `${snapshot.volume.id}-other` },
});

/** The array as an object of its own, whatever class it is of. */
function plain(array: StorageArray): StorageArray {
  const { target } = array;
  const clone = array.clone?.bind(array);
  const revert = array.revert?.bind(array);
  const isGroup = array.isGroup?.bind(array);
  const endReading = array.endReading?.bind(array);
  return {
    contract: array.contract,
    name: array.name,
    capabilities: (call) => array.capabilities(call),
    snapshot: (volumes, name, call) => array.snapshot(volumes, name, call),
    find: (name, call) => array.find(name, call),
    list: (prefix, call) => array.list(prefix, call),
    remove: (snapshot, call) => array.remove(snapshot, call),
    open: (snapshot, options, call) => array.open(snapshot, options, call),
    ...(endReading && { endReading }),
    ...(isGroup && { isGroup }),
    ...(target && { target }),
    ...(clone && { clone }),
    ...(revert && { revert }),
  };
}
