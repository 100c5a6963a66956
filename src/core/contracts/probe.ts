import type { CallOptions } from './call.ts';
import type { ConnectRequest } from './creation.ts';
import type { ResourceKey } from './identity.ts';

/** What a host asks of resources that a restore has made, such as a page of an application. */
export interface Probe {
  /** The type of the resources. */
  readonly type: string;
  /**
   * Resolves once the resource serves, and rejects where it will not: then the restore fails with `NOT_SERVING`. Called
   * when all that is restored is connected, and after the plugin's own probe. Changes nothing, may be repeated, and is tried
   * again where its error is `retryable`. Waits by itself; how long it may is said by the policy of steps of the kind `probe`.
   */
  probe(resource: ResourceKey, request: ConnectRequest, call: CallOptions): Promise<void>;
}
