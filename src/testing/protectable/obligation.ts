import type { JsonObject, Protectable, ResourceKey } from '../../core/contracts/index.ts';

/** A system with a resource in it. */
export interface ProtectableFixture {
  /** The plugin. */
  readonly protectable: Protectable;
  /** Exists, with all that it depends on. Is made again beside itself, joined to the same. */
  readonly resource: ResourceKey;
  /** What the one with this token has in place of an address, where no two can have the same; the same one unless given. */
  address?(original: string, token: string): string;
  /**
   * The part of a description in which one that was made again equals the original, such as all but the ids of what it
   * is joined to; all of it unless given, but for a member `id`.
   */
  same?(description: JsonObject): unknown;
  /** Removes everything. */
  dispose(): Promise<void>;
}

/** What a Protectable must have for a case to apply. */
export type Need = 'creation' | 'gaps' | 'probe' | 'renames' | 'volumes';

/** One case. */
export interface Obligation {
  /** As a sentence. */
  readonly name: string;
  /** Without it the case applies to every Protectable. */
  readonly needs?: Need;
  /** Tries it. */
  run(fixture: ProtectableFixture): Promise<void>;
}
