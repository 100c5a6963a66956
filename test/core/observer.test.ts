import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { diagnosticsObserver } from '../../src/core/observer.ts';

describe('diagnosticsObserver', () => {
  it('publishes each message on the channel of its name', () => {
    const seen: unknown[] = [];
    const listen = (message: unknown, name: string | symbol): void => void seen.push([name, message]);
    const observer = diagnosticsObserver();
    subscribe('fafnir.job.started', listen);
    try {
      observer.publish('job.started', { job: 'j1' });
      observer.publish('job.ended', { job: 'j1' });
    } finally {
      unsubscribe('fafnir.job.started', listen);
    }
    observer.publish('job.started', { job: 'j2' });
    expect(seen).toEqual([['fafnir.job.started', { job: 'j1' }]]);
  });
});
