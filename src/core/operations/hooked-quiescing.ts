import type { CallOptions, Clock, Provider, Quiescing, SnapshotHooks } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

/** A limited provider whose resources are paused with the host's hooks around it. */
export function withHooks(provider: Provider, clock: Pick<Clock, 'now' | 'sleep'>): Provider {
  if (provider.hooks.size === 0) return provider;
  const protectables = new Map(provider.protectables);
  for (const [type, hooks] of provider.hooks) {
    const protectable = protectables.get(type);
    if (protectable === undefined) continue;
    const quiescing = hookedQuiescing(protectable.quiescing, hooks, clock);
    protectables.set(type, { ...protectable, quiescing });
  }
  return { ...provider, protectables };
}

/** How resources of a type are paused with the host's hooks around it: theirs is the outer one. */
export function hookedQuiescing(
  own: Quiescing | undefined,
  hooks: SnapshotHooks,
  clock: Pick<Clock, 'now' | 'sleep'>,
): Quiescing {
  return {
    async quiesce(resource, pause, call) {
      const longest = Math.min(
        pause.deadline - clock.now(),
        hooks.beforeMilliseconds ?? Number.POSITIVE_INFINITY,
      );
      const what = `the hook before the snapshot of ${resource.type} ${resource.id}`;
      await within(clock, longest, what, call, (bounded) => hooks.before(resource, pause, bounded));
      return (await own?.quiesce(resource, pause, call)) ?? {};
    },
    async unquiesce(token, call) {
      try {
        await own?.unquiesce(token, call);
      } finally {
        await hooks.after(token, call);
      }
    },
  };
}

/** Work that is aborted, and no longer waited for, after some milliseconds. */
async function within(
  clock: Pick<Clock, 'sleep'>,
  milliseconds: number,
  what: string,
  { signal }: CallOptions,
  work: (call: CallOptions) => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const late = clock
    .sleep(Math.max(0, milliseconds), { signal: AbortSignal.any([signal, over.signal]) })
    .then(() => {
      const error = new FafnirError('UNAVAILABLE', `${what} took longer than ${milliseconds} ms`);
      over.abort(error);
      throw error;
    });
  try {
    await Promise.race([work({ signal: AbortSignal.any([signal, over.signal]) }), late]);
  } finally {
    late.catch(() => undefined);
    over.abort();
  }
}
