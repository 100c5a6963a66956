import type { CallOptions } from './call.ts';
import type { ResourceKey } from './identity.ts';
import type { Pause } from './quiescing.ts';

/**
 * What a host does around the snapshots of its resources, such as to have a database write out what it holds. What is
 * stopped is a pause like any other: the engine journals it before, and has it ended whatever dies. Where the host itself
 * may die, `before` sees to it that the pause ends at its deadline without anybody.
 */
export interface SnapshotHooks {
  /** The type of the resources. */
  readonly type: string;
  /**
   * Called before the resource is paused; resolves once it may be. Rejecting fails the snapshot. May be repeated with the
   * same token.
   */
  before(resource: ResourceKey, pause: Pause, call: CallOptions): Promise<void>;
  /**
   * Called once the resource goes on, also where `before` failed or its end is not known; by whoever has the token, also
   * after a crash, and perhaps by two at once. Tried again where its error is `retryable`.
   */
  after(token: string, call: CallOptions): Promise<void>;
  /** How long `before` may take, in milliseconds; in any case no longer than the pause. Default: as long as the pause. */
  readonly beforeMilliseconds?: number;
}
