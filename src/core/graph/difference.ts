import type { Json, JsonObject, Resource, ResourceKey } from '../contracts/index.ts';
import { compareKeys, describeKey, type ResourceGraph } from './resource-graph.ts';
import { shorten } from './shorten.ts';

/** An edge by the keys of its ends. */
export type KeyedEdge = {
  /** Who depends. */
  readonly from: ResourceKey;
  /** On what. */
  readonly to: ResourceKey;
};

/** A resource that both graphs have, but not the same. */
export type ChangedResource = {
  /** Which. */
  readonly key: ResourceKey;
  /** True when its name is another. */
  readonly name: boolean;
  /** Names of the tags that were added, removed or given another value, ascending. */
  readonly tags: readonly string[];
  /** Names of the top-level attributes that were added, removed or given another value, ascending. */
  readonly attributes: readonly string[];
};

/** How one graph differs from an earlier one, as plain data; every list is ascending by (type, id). */
export type GraphDifference = {
  /** Resources that only the later graph has. */
  readonly added: readonly ResourceKey[];
  /** Resources that only the earlier graph has. */
  readonly gone: readonly ResourceKey[];
  /** Resources that both have, with what is not the same. */
  readonly changed: readonly ChangedResource[];
  /** Edges that only the later graph has, those of added resources among them. */
  readonly edgesAdded: readonly KeyedEdge[];
  /** Edges that only the earlier graph has, those of gone resources among them. */
  readonly edgesGone: readonly KeyedEdge[];
  /** Resources that only the later discovery met and excluded. */
  readonly excludedAdded: readonly ResourceKey[];
  /** Resources that only the earlier discovery met and excluded. */
  readonly excludedGone: readonly ResourceKey[];
  /** Resources that only the later graph has as incomplete; for what reason means nothing. */
  readonly incompleteAdded: readonly ResourceKey[];
  /** Resources that only the earlier graph has as incomplete. */
  readonly incompleteGone: readonly ResourceKey[];
};

/** What became of `before` in `after`. Attributes are compared as JSON: the order of their members means nothing. */
export function difference(before: ResourceGraph, after: ResourceGraph): GraphDifference {
  const added: ResourceKey[] = [];
  const gone: ResourceKey[] = [];
  const changed: ChangedResource[] = [];
  // Ranks are positions in the union of both graphs; by them the edges of one compare with those of the other.
  const ranksBefore = new Uint32Array(before.resources.length);
  const ranksAfter = new Uint32Array(after.resources.length);
  let [left, right, rank] = [0, 0, 0];
  for (;;) {
    const was = before.resources[left];
    const is = after.resources[right];
    if (was === undefined && is === undefined) break;
    const side = was === undefined ? 1 : is === undefined ? -1 : compareKeys(was, is);
    if (was !== undefined && side < 0) gone.push(keyOf(was));
    if (is !== undefined && side > 0) added.push(keyOf(is));
    if (was !== undefined && is !== undefined && side === 0) {
      const change = changeOf(was, is);
      if (change !== undefined) changed.push(change);
    }
    if (side <= 0) ranksBefore[left++] = rank;
    if (side >= 0) ranksAfter[right++] = rank;
    rank += 1;
  }
  return {
    added,
    gone,
    changed,
    ...compareEdges(before, ranksBefore, after, ranksAfter),
    excludedAdded: onlyIn(after.excluded, before.excluded),
    excludedGone: onlyIn(before.excluded, after.excluded),
    incompleteAdded: onlyIn(incompleteKeys(after), incompleteKeys(before)),
    incompleteGone: onlyIn(incompleteKeys(before), incompleteKeys(after)),
  };
}

/** True for the difference of equal graphs. */
export const isEmptyDifference = (found: GraphDifference): boolean =>
  Object.values(found).every((list) => list.length === 0);

// How many of each list a description names, and how long each name may be.
const NAMED = 3;
const WIDTH = 80;

/** A difference as one short line, for messages: how many of each, and the first few by name. */
export function describeDifference(found: GraphDifference): string {
  const { edgesAdded, edgesGone } = found;
  const parts = [
    describeList('added', found.added, describe),
    describeList('gone', found.gone, describe),
    describeList('changed', found.changed, describeChange),
    describeList(`${edgesIn(edgesAdded)} added`, edgesAdded, describeEdge),
    describeList(`${edgesIn(edgesGone)} gone`, edgesGone, describeEdge),
    describeList('excluded', found.excludedAdded, describe),
    describeList('no longer excluded', found.excludedGone, describe),
    describeList('incomplete', found.incompleteAdded, describe),
    describeList('no longer incomplete', found.incompleteGone, describe),
  ];
  return parts.filter((part) => part !== '').join('; ') || 'no difference';
}

const edgesIn = (edges: readonly KeyedEdge[]): string => (edges.length === 1 ? 'edge' : 'edges');

function describeList<Item>(what: string, items: readonly Item[], text: (item: Item) => string): string {
  return items.length === 0 ? '' : `${items.length} ${what} (${firstFew(items, text)})`;
}

const firstFew = <Item>(items: readonly Item[], text: (item: Item) => string): string =>
  items.slice(0, NAMED).map(text).join(', ') + (items.length > NAMED ? ', ...' : '');

const describe = (key: ResourceKey): string => shorten(describeKey(key), WIDTH);

const describeEdge = ({ from, to }: KeyedEdge): string => `${describe(from)} -> ${describe(to)}`;

function describeChange({ key, name, tags, attributes }: ChangedResource): string {
  const what = [...(name ? ['name'] : []), ...tags.map((tag) => `tag ${tag}`), ...attributes];
  return `${describe(key)}: ${firstFew(what, (one) => shorten(one, WIDTH))}`;
}

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const keyOf = ({ type, id }: ResourceKey): ResourceKey => ({ type, id });

const incompleteKeys = ({ incomplete }: ResourceGraph): readonly ResourceKey[] =>
  incomplete.map(({ resource }) => resource);

/** The keys of one list that another does not have; both ascend. */
function onlyIn(keys: readonly ResourceKey[], others: readonly ResourceKey[]): readonly ResourceKey[] {
  let next = 0;
  const isOther = (key: ResourceKey): boolean => {
    for (let other = others[next]; other !== undefined; other = others[++next]) {
      const side = compareKeys(other, key);
      if (side >= 0) return side === 0;
    }
    return false;
  };
  return keys.filter((key) => !isOther(key)).map(keyOf);
}

function changeOf(was: Resource, is: Resource): ChangedResource | undefined {
  const name = was.name !== is.name;
  const tags = changedMembers(was.tags ?? {}, is.tags ?? {});
  const attributes = changedMembers(was.attributes, is.attributes);
  return name || tags.length > 0 || attributes.length > 0
    ? { key: keyOf(is), name, tags, attributes }
    : undefined;
}

const member = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

function changedMembers(was: JsonObject, is: JsonObject): string[] {
  const changed = Object.keys(was).filter((name) => !sameJson(was[name], member(is, name)));
  for (const name of Object.keys(is)) {
    if (is[name] !== undefined && !Object.hasOwn(was, name)) changed.push(name);
  }
  return changed.sort(compareTexts);
}

type Compared = readonly [Json | undefined, Json | undefined];

// With a stack of its own: attributes come from outside, as deep as they like. A member that is undefined is none.
function sameJson(was: Json | undefined, is: Json | undefined): boolean {
  if (was === is) return true;
  const waiting: Compared[] = [[was, is]];
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    const [a, b] = pair;
    if (a === b) continue;
    if (!isComposite(a) || !isComposite(b) || Array.isArray(a) !== Array.isArray(b)) return false;
    for (const name of Object.keys(a)) waiting.push([a[name], member(b, name)]);
    for (const name of Object.keys(b)) if (!Object.hasOwn(a, name)) waiting.push([undefined, b[name]]);
  }
  return true;
}

// Arrays are objects by index here, so that one loop compares both.
const isComposite = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null;

// Both lists of edges ascend by (from, to), and ranks ascend with positions, so that merging finds what differs.
function compareEdges(
  before: ResourceGraph,
  ranksBefore: Uint32Array,
  after: ResourceGraph,
  ranksAfter: Uint32Array,
): Pick<GraphDifference, 'edgesAdded' | 'edgesGone'> {
  const edgesAdded: KeyedEdge[] = [];
  const edgesGone: KeyedEdge[] = [];
  const [was, is] = [before.edges, after.edges];
  let [left, right] = [0, 0];
  while (left < was.from.length || right < is.from.length) {
    const side =
      rankAt(ranksBefore, was.from[left]) - rankAt(ranksAfter, is.from[right]) ||
      rankAt(ranksBefore, was.to[left]) - rankAt(ranksAfter, is.to[right]);
    if (side < 0) edgesGone.push(...edgeAt(before, left));
    if (side > 0) edgesAdded.push(...edgeAt(after, right));
    if (side <= 0) left += 1;
    if (side >= 0) right += 1;
  }
  return { edgesAdded, edgesGone };
}

// A list that has ended comes after all that is left of the other.
const rankAt = (ranks: Uint32Array, position: number | undefined): number =>
  (position === undefined ? undefined : ranks[position]) ?? Number.POSITIVE_INFINITY;

function edgeAt({ resources, edges }: ResourceGraph, edge: number): readonly KeyedEdge[] {
  const from = resources[edges.from[edge] ?? -1];
  const to = resources[edges.to[edge] ?? -1];
  return from === undefined || to === undefined ? [] : [{ from: keyOf(from), to: keyOf(to) }];
}
