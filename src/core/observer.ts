import { channel as diagnosticsChannel } from 'node:diagnostics_channel';
import type { Observer } from './contracts/index.ts';

/**
 * Publishes on Node's diagnostics channels, named `fafnir.<channel>`, such as `fafnir.job.started`. Costs nothing
 * while nobody subscribes; Node keeps a subscriber's error away from the publisher.
 */
export function diagnosticsObserver(): Observer {
  return Object.freeze<Observer>({
    publish: (channel, message) => diagnosticsChannel(`fafnir.${channel}`).publish(message),
  });
}
