import type { CallOptions, JsonObject, Resource, ResourceKey } from '../../core/contracts/index.ts';
import type { Cloud } from './cloud.ts';
import type { Maker } from './making.ts';

/** Something that a service lists. */
export type Item = { readonly id: string };

/** What a resource depends on. */
export interface Target {
  /** On what. */
  readonly key: ResourceKey;
  /** Undefined where no service lists it. */
  readonly resource: Resource | undefined;
}

/** Everything of a kind that can be seen. */
export type Look = <Other extends Item>(kind: Kind<Other>) => Promise<Listed<Other>>;

/** A resource type: where it is listed, what it is joined to, and what of it is kept. */
export interface Kind<Listing extends Item> {
  /** Such as `OS::Nova::Server`. */
  readonly type: string;
  /** True as in Protectable. */
  readonly groupsVolumes?: true;
  /** All that can be seen, also what belongs to other projects, in as few requests as the service allows. */
  read(cloud: Cloud, call: CallOptions): AsyncIterable<Listing>;
  /** Whether it is a part of the project that somebody made, and not a by-product of another one. */
  isOwn(item: Listing, project: string): boolean;
  /** What is shown of it. */
  labels(item: Listing): Pick<Resource, 'name' | 'tags' | 'attributes'>;
  /** Tells what an item depends on; what it needs of other kinds is looked up once for all items. */
  links?(look: Look, project: string): Promise<(item: Listing) => readonly Target[]>;
  /** The description of one, read anew; `NOT_FOUND` where it is gone. */
  capture(id: string, cloud: Cloud, call: CallOptions): Promise<JsonObject>;
  /** How it is made again, or found where it is not for us to make. */
  readonly maker: Maker;
  /** For volumes: how many bytes one has, read anew; `NOT_FOUND` where it is gone. */
  sizeOf?(id: string, cloud: Cloud, call: CallOptions): Promise<number>;
}

/** Everything of a kind that could be seen at a time. */
export class Listed<Listing extends Item> {
  readonly #kind: Kind<Listing>;
  readonly #items: ReadonlyMap<string, Listing>;

  constructor(kind: Kind<Listing>, items: readonly Listing[]) {
    this.#kind = kind;
    this.#items = new Map(items.map((item) => [item.id, item]));
  }

  /** The item with this id. */
  get(id: string): Listing | undefined {
    return this.#items.get(id);
  }

  /** All items. */
  values(): Iterable<Listing> {
    return this.#items.values();
  }

  /** The item with this id as what another one depends on. */
  target(id: string): Target {
    const item = this.#items.get(id);
    const key = { type: this.#kind.type, id };
    return { key, resource: item && resourceOf(this.#kind, item) };
  }

  /** What the project has of the kind. */
  ownTargets(project: string): readonly Target[] {
    return [...this.values()].flatMap((item) =>
      this.#kind.isOwn(item, project) ? [this.target(item.id)] : [],
    );
  }
}

/** An item as discovery shows it. What has no name goes by its id, or all of these would have the same one. */
export function resourceOf<Listing extends Item>({ type, labels }: Kind<Listing>, item: Listing): Resource {
  const { id } = item;
  const { name, ...more } = labels(item);
  return { type, id, name: name === '' ? id : name, ...more };
}

const MOST_TAGS = 256;

/** Metadata and tags as labels: a tag is one without a value. */
export function tagsOf(
  words: readonly string[],
  pairs: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const labels = [...Object.entries(pairs), ...words.map((word): [string, string] => [word, ''])];
  return Object.fromEntries(labels.filter(([name]) => name !== '').slice(0, MOST_TAGS));
}

/** Items by what they have in common; those without it are left out. */
export function groupBy<Listing>(
  items: Iterable<Listing>,
  keyOf: (item: Listing) => string | null | undefined,
): ReadonlyMap<string, readonly Listing[]> {
  const groups = new Map<string, Listing[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === undefined || key === null) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
