import type { JsonObject } from './json.ts';

/**
 * Where logs, traces and metrics go: one port in the shape of a diagnostics channel. Messages are plain data with
 * allow-listed fields; they hold no secret. An observer must not throw; if it does, the error is dropped.
 */
export interface Observer {
  /** `channel` such as `job.started`; `message` must not be kept or changed. */
  publish(channel: string, message: JsonObject): void;
}
