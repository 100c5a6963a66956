import type { CallOptions } from './call.ts';
import type { ResourceKey } from './identity.ts';
import type { JsonObject } from './json.ts';

/** A pause of an application that must end. */
export type Pause = {
  /** Names it: 32 characters of a-f 0-9. */
  readonly token: string;
  /** When it has ended at the latest, milliseconds since 1970 UTC. */
  readonly deadline: number;
};

/**
 * Role of a Protectable whose resources can be paused, so that a snapshot holds what the application wrote and not
 * merely what the disk had. The application pauses only for the snapshot.
 */
export interface Quiescing {
  /**
   * Makes the application write out what it holds and write no more. Resolves, with facts for the record (at most 64 KiB
   * as JSON), once that is so; the engine has journaled the pause before.
   *
   * Whatever dies, the pause has ended at the deadline: either what is paused sees to that itself, or a process that
   * outlives this one watches before the pause begins. An effect that comes too late, when the deadline has passed,
   * is taken back before this rejects with `UNAVAILABLE`. A repeat with the same token is allowed until then.
   */
  quiesce(resource: ResourceKey, pause: Pause, call: CallOptions): Promise<JsonObject>;
  /**
   * Ends the pause; none with this token is success. Called by whoever has the token, also after a crash, and perhaps
   * by two at once.
   */
  unquiesce(token: string, call: CallOptions): Promise<void>;
}
