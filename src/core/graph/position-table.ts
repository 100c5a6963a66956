import type { ResourceKey } from '../contracts/index.ts';

const FIRST_SIZE = 64;
// Whoever chooses ids could choose them so that all fall on one slot. What finds no slot near its own goes into a map,
// whose hash nobody can foresee.
const LONGEST_SEARCH = 32;

/**
 * Finds the positions of resources in a list by (type, id). Two numbers a slot in one typed array: less than half of
 * what a map of strings takes, and a search mostly touches one place in memory.
 */
export class PositionTable {
  readonly #keys: readonly ResourceKey[];
  readonly #seeds = new Map<string, number>();
  readonly #crowded = new Map<string, Map<string, number>>();
  // Pairs of a hash and a position + 1; 0 for an empty slot. Never more than half full.
  #slots = new Uint32Array(2 * FIRST_SIZE);
  #mask = FIRST_SIZE - 1;
  #count = 0;

  /** `keys` is the list that positions point into; it grows as positions are added. */
  constructor(keys: readonly ResourceKey[]) {
    this.#keys = keys;
  }

  /** The position of a key, or -1. */
  find(key: ResourceKey): number {
    return this.#search(key, this.#hash(key));
  }

  /** The position of a key; `next`, which then counts as its position, where it has none yet. */
  findOrAdd(key: ResourceKey, next: number): number {
    const hash = this.#hash(key);
    const found = this.#search(key, hash);
    if (found !== -1) return found;
    if (2 * (this.#count + 1) > this.#mask + 1) this.#grow();
    this.#count += 1;
    if (!this.#place(hash, next)) this.#keepApart(key, next);
    return next;
  }

  #search({ type, id }: ResourceKey, hash: number): number {
    for (let step = 0; step < LONGEST_SEARCH; step += 1) {
      const slot = 2 * ((hash + step) & this.#mask);
      const position = (this.#slots[slot + 1] ?? 0) - 1;
      if (position === -1) return -1;
      if (this.#slots[slot] !== hash) continue;
      const key = this.#keys[position];
      if (key !== undefined && key.id === id && key.type === type) return position;
    }
    return this.#crowded.get(type)?.get(id) ?? -1;
  }

  #place(hash: number, position: number): boolean {
    for (let step = 0; step < LONGEST_SEARCH; step += 1) {
      const slot = 2 * ((hash + step) & this.#mask);
      if (this.#slots[slot + 1] !== 0) continue;
      this.#slots[slot] = hash;
      this.#slots[slot + 1] = position + 1;
      return true;
    }
    return false;
  }

  #keepApart({ type, id }: ResourceKey, position: number): void {
    const ids = this.#crowded.get(type) ?? new Map<string, number>();
    this.#crowded.set(type, ids.set(id, position));
  }

  // A search ends at the first empty slot, so those that found none before are placed anew as well.
  #grow(): void {
    const slots = this.#slots;
    const crowded = [...this.#crowded.values()].flatMap((ids) => [...ids.values()]);
    this.#crowded.clear();
    this.#slots = new Uint32Array(2 * slots.length);
    this.#mask = this.#slots.length / 2 - 1;
    for (let slot = 0; slot < slots.length; slot += 2) {
      const position = (slots[slot + 1] ?? 0) - 1;
      if (position !== -1 && !this.#place(slots[slot] ?? 0, position)) crowded.push(position);
    }
    for (const position of crowded) {
      const key = this.#keys[position];
      if (key !== undefined && !this.#place(this.#hash(key), position)) this.#keepApart(key, position);
    }
  }

  #hash({ type, id }: ResourceKey): number {
    let hash = this.#seeds.get(type);
    if (hash === undefined) {
      hash = Math.imul(this.#seeds.size + 1, 0x9e3779b1);
      this.#seeds.set(type, hash);
    }
    for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    return (hash ^ (hash >>> 13)) >>> 0;
  }
}
