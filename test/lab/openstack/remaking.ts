import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type {
  ConnectRequest,
  JsonObject,
  Protectable,
  Resource,
  ResourceKey,
  Surroundings,
} from '../../../src/core/contracts/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import type { Project } from './project.ts';

const newCall = () => ({ signal: new AbortController().signal });

/** A resource of one project, made again in another one. */
export type Remade = {
  readonly token: string;
  readonly description: JsonObject;
  readonly made: Resource;
  /** The description of what was made. */
  readonly again: JsonObject;
};

/** Makes what one project has again in another one, the way that a restore does. */
export class Remaking {
  readonly #source: Project;
  readonly #destination: Project;
  readonly #standIns = new Map<string, ResourceKey>();
  readonly #tokens: { readonly type: string; readonly token: string; readonly id: string }[] = [];

  constructor(source: Project, destination: Project) {
    this.#source = source;
    this.#destination = destination;
  }

  /** The plugin for a type at the destination. */
  there(type: string): Protectable {
    return protectableOf(this.#destination, type);
  }

  /** The description of a resource of the source. */
  describe(type: string, id: string): Promise<JsonObject> {
    return protectableOf(this.#source, type).capture({ type, id }, newCall());
  }

  /** What the resource depends on is what was remade before, or what `stand` says. */
  surroundings(addresses: Readonly<Record<string, string>> = {}): Surroundings {
    return {
      resolve: ({ type, id }) => {
        const standIn = this.#standIns.get(`${type} ${id}`);
        if (standIn === undefined) throw new Error(`nothing stands for ${type} ${id}`);
        return standIn;
      },
      address: (original) => addresses[original] ?? original,
    };
  }

  /** Makes a resource again, the first one of a type twice, and gives what it then is; `salt` makes it another one. */
  async remake(
    type: string,
    id: string,
    addresses: Readonly<Record<string, string>> = {},
    salt = '',
  ): Promise<Remade> {
    const token = createHash('md5').update(`${type} ${id} ${this.#destination.id} ${salt}`).digest('hex');
    const description = await this.describe(type, id);
    const there = this.there(type);
    const surroundings = this.surroundings(addresses);
    const request = { token, ...(there.joined && { surroundings }) };
    const made = await there.create(description, request, newCall());
    const isFirst = this.#tokens.every((one) => one.type !== type);
    if (isFirst) expect(await there.create(description, request, newCall())).toEqual(made);
    this.#standIns.set(`${type} ${id}`, made);
    this.#tokens.push({ type, token, id: made.id });
    const connection: ConnectRequest = { token, description, ...surroundings };
    await there.connect(made, connection, newCall());
    if (isFirst) await there.connect(made, connection, newCall());
    await there.probe?.(made, connection, newCall());
    return { token, description, made, again: await there.capture(made, newCall()) };
  }

  /** Removes all that was made, the first one of a type twice, and tells the ids of what is left of it. */
  async undo(): Promise<readonly string[]> {
    const ids = new Map<string, string[]>();
    for (const { type, token, id } of this.#tokens.toReversed()) {
      const sameType = ids.get(type) ?? [];
      await this.there(type).remove({ token }, newCall());
      if (sameType.length === 0) await this.there(type).remove({ token }, newCall());
      ids.set(type, [...sameType, id]);
    }
    const left: string[] = [];
    for (const [type, removed] of ids) {
      left.push(...(await this.there(type).find(removed, newCall())).map(({ id }) => id));
    }
    return left;
  }
}

/** The plugin for a type of a project. */
export function protectableOf({ client }: Project, type: string): Protectable {
  const found = openStackResources({ client }).find((one) => one.type === type);
  if (found === undefined) throw new Error(`nothing protects ${type}`);
  return found;
}
