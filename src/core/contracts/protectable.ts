import type { CallOptions } from './call.ts';
import type { ConnectRequest, CreateRequest, Gap, GapRequest } from './creation.ts';
import type { Resource, ResourceKey } from './identity.ts';
import type { JsonObject } from './json.ts';
import type { Quiescing } from './quiescing.ts';
import type { VolumeRef } from './volume.ts';

/** Edges as two columns: entry i of both is one edge. */
export interface DependencyEdges {
  /** Positions in the batch: who depends. */
  readonly from: ArrayLike<number>;
  /** Positions in the resources of the answer: on what. */
  readonly to: ArrayLike<number>;
}

/** A resource whose dependencies could not be read. */
export interface DependencyFailure {
  /** Its position in the batch. */
  readonly at: number;
  /** Why. */
  readonly error: unknown;
}

/** What a batch of resources depends on. */
export interface Dependencies {
  /** Every target that is an existing resource, once per batch. */
  readonly resources: readonly Resource[];
  /** Who depends on what. */
  readonly edges: DependencyEdges;
  /**
   * Resources of the batch whose dependencies could not be read. A target that does not exist is
   * such a failure, with `NOT_FOUND`: never leave an item out silently, for that would mean "depends on nothing".
   */
  readonly failures: readonly DependencyFailure[];
}

/**
 * A plugin for one resource type. The engine retries errors that are `retryable`; a Protectable does not.
 * All it returns is checked and treated as untrusted.
 */
export interface Protectable {
  /** The version of this contract. */
  readonly contract: 1;
  /** Such as `Local::Server`; unique within a provider. */
  readonly type: string;
  /**
   * True where the volumes that a resource of this type directly depends on must be snapshot as one: they form a
   * consistency group.
   */
  readonly groupsVolumes?: true;
  /** Role: `create` can give a resource another name than its description has. */
  readonly renames?: true;
  /** Role: the names of arrays from whose snapshots `create` can make the volume of a resource; see {@link CreateRequest}. */
  readonly clones?: readonly string[];
  /**
   * Role, for types whose resources cannot be without what they depend on, such as a port without its network: `create` is
   * called when that is whole and filled, is told of it by `surroundings`, and `connect` comes next. Such a type has no `volumes`.
   */
  readonly joined?: true;
  /**
   * Role: the kinds of names that the plugin asks for, such as `flavor`, where there is no resource to map. A restore that maps
   * names of a kind that no plugin asks for is refused.
   */
  readonly maps?: readonly string[];
  /** Role: see {@link Quiescing}. Where it is missing, application consistency is refused. */
  readonly quiescing?: Quiescing;
  /** All resources of the type that can be seen, lazily, in no promised order. */
  list(call: CallOptions): AsyncIterable<Resource>;
  /** Those of the ids that exist, in any order. */
  find(ids: readonly string[], call: CallOptions): Promise<readonly Resource[]>;
  /** What the resources (all of this type) depend on; one call for the whole batch, of at most 1,000. */
  dependencies(resources: readonly Resource[], call: CallOptions): Promise<Dependencies>;
  /**
   * The restorable description, at most 256 KiB as JSON; `NOT_FOUND` where the resource is gone. Holds no secret and no
   * volume data.
   */
  capture(resource: ResourceKey, call: CallOptions): Promise<JsonObject>;
  /**
   * A new resource like the description, not yet joined to others unless the type is `joined`. Find-or-create by the token.
   * A description is untrusted input: one that does not fit is refused with `CORRUPT` before any effect. What others own and
   * nobody makes (a public image) may be answered with what stands for it, which then carries no token. The call may arrive after `remove` with its token, from a worker that has lost its job: whatever it leaves must carry the
   * token, or be taken back before it ends.
   */
  create(description: JsonObject, request: CreateRequest, call: CallOptions): Promise<Resource>;
  /**
   * Joins a resource that `create` gave to what it depends on, all of which exists by now. May be repeated. What cannot be
   * joined as asked is refused with `MAPPING_GAP`.
   */
  connect(resource: ResourceKey, request: ConnectRequest, call: CallOptions): Promise<void>;
  /**
   * Undoes `create`: removes the resource that carries the token, wherever `create` got; none is success. Never
   * touches a resource without the token. Dependants are removed first.
   */
  remove(request: Pick<CreateRequest, 'token'>, call: CallOptions): Promise<void>;
  /**
   * Role: what stands in the way of creating these, at most 1,000; empty where nothing does. Asked before the first effect of
   * a restore and by its preview; without effects.
   */
  gaps?(requests: readonly GapRequest[], call: CallOptions): Promise<readonly Gap[]>;
  /**
   * Role, for types that take their time or may come to nothing, such as servers: resolves once one that was made again serves
   * as the original did, and rejects where it will not; `NOT_FOUND` for one that is gone. Called once all that is restored is
   * connected. Changes nothing and may be repeated; waits until the call is aborted.
   */
  probe?(resource: ResourceKey, request: ConnectRequest, call: CallOptions): Promise<void>;
  /**
   * Role, for types that hold data: the resource's volume, by each way to reach it (at most 64), the best first. The engine uses
   * the first whose array the provider has.
   */
  volumes?(resource: ResourceKey, call: CallOptions): Promise<readonly VolumeRef[]>;
}
