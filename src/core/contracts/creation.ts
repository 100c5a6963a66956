import type { ResourceKey } from './identity.ts';
import type { JsonObject } from './json.ts';
import type { ArraySnapshot } from './storage-array.ts';

/** How words of one site become those of another. */
export interface Names {
  /** What a name becomes, of one of the kinds that the Protectable `maps`; itself where nothing was mapped. */
  of(kind: string, original: string): string;
}

/** What surrounds a resource that is made again. */
export interface Surroundings {
  /**
   * What now stands for a resource that the original depended on: created, or mapped to. Undefined where that was left
   * out of the checkpoint by choice: then what joined the two is left out as well, or the call is refused with
   * `MAPPING_GAP` where it cannot do without. Throws `NOT_FOUND` for any other resource.
   */
  resolve(original: ResourceKey): ResourceKey | undefined;
  /** What an address of the original becomes; itself where nothing was mapped. */
  address(original: string): string;
}

/** What a resource is made again with. */
export interface CreateRequest {
  /**
   * Names this creation. The resource carries it (in a tag, its metadata or its name), so that a repeat after a
   * crash finds it instead of making a second one. 32 characters of a-f 0-9.
   */
  readonly token: string;
  /** What to call the resource, whatever the description says; given only where the Protectable `renames`. */
  readonly name?: string;
  /**
   * What the resource's volume is to hold from the start, by whatever way the array has; given only where the Protectable
   * `clones` from that array. One that it cannot use, such as of another size than described, is refused with `UNSUPPORTED`,
   * and one that is gone with `NOT_FOUND`: then the call comes again without it, and finds by the token what there is. The
   * engine reads the volume and writes what is not as it should be.
   */
  readonly from?: ArraySnapshot;
  /** Given exactly where the Protectable `maps` names. */
  readonly names?: Names;
  /** Given exactly where the Protectable is `joined`. */
  readonly surroundings?: Surroundings;
}

/** What a created resource is joined to its surroundings with. */
export interface ConnectRequest extends Surroundings, Pick<CreateRequest, 'token' | 'names'> {
  /** As captured from the original. */
  readonly description: JsonObject;
}

/** A resource that would be created. */
export interface GapRequest extends Pick<Surroundings, 'address'>, Pick<CreateRequest, 'names'> {
  /** As captured from the original. */
  readonly description: JsonObject;
}

/** Why a resource cannot be created. */
export interface Gap {
  /** Its position among those asked about. */
  readonly at: number;
  /** For people; says what to map to what. At most 1,000 characters. */
  readonly reason: string;
}
