import * as z from 'zod';
import { startWatchdog, type Watchdog } from '../../clients/watchdog/index.ts';
import type { JsonObject, Pause, Quiescing, ResourceKey } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { localId, readFields } from './record.ts';
import { recordFolder } from './record-folder.ts';

/**
 * How a host pauses a server: a module, because a process of its own must be able to end a pause when the host's has
 * died. It exports `freeze(options)` and `release(options)`, both of which may be repeated; `options` are these with
 * the server's id as `server`.
 */
export interface LocalFreezer {
  /** URL of the module. */
  readonly module: string;
  /** For the module; no secrets. */
  readonly options?: JsonObject;
}

/** What options of a freezer must look like. */
export const freezerSchema: z.ZodType<LocalFreezer> = z.strictObject({
  module: z.url({ protocol: /^file$/, error: 'must be a file URL' }),
  options: z.record(z.string(), z.json()).exactOptional(),
});

const pauseSchema = z.looseObject({ server: localId });

/** Pauses servers with a host's freezer, under the eyes of a watchdog. */
export function localQuiescing(root: string, freezer: LocalFreezer): Quiescing {
  // A pause is a file, so that whoever has the token alone can end it, from another process too.
  const pauses = recordFolder(root, 'pauses');
  const watched = new Map<string, { readonly server: string; readonly watchdog: Watchdog }>();
  const optionsFor = (server: string): JsonObject => ({ ...freezer.options, server });

  async function release(token: string): Promise<void> {
    const pause = await readFields(pauses, token, pauseSchema);
    // Where the record has gone, another ended the pause; but this process may have begun it again since.
    const own = watched.get(token);
    const server = pause?.server ?? own?.server;
    if (server !== undefined) await (await load(freezer)).release(optionsFor(server));
    await pauses.sweep(token);
    if (pause !== undefined) {
      await pauses.remove(token);
      await pauses.sync();
    }
    watched.delete(token);
    await own?.watchdog.dismiss();
  }

  return Object.freeze<Quiescing>({
    async quiesce({ id: server }: ResourceKey, { token, deadline }: Pause, { signal }) {
      signal.throwIfAborted();
      const { freeze } = await load(freezer);
      await pauses.write(token, { server }, (draft) => draft.add(token), { signal });
      if (!watched.has(token)) {
        const milliseconds = Math.max(0, deadline - Date.now());
        const task = { module: freezer.module, options: optionsFor(server), milliseconds };
        watched.set(token, { server, watchdog: await startWatchdog(task) });
      }
      await freeze(optionsFor(server));
      const ended = (await readFields(pauses, token, pauseSchema)) === undefined;
      if (ended || Date.now() >= deadline) {
        // It was ended, by the watchdog or by another, before it had begun.
        await release(token);
        throw new FafnirError('UNAVAILABLE', `server ${server} did not pause in time`, { retryable: false });
      }
      return { server };
    },
    async unquiesce(token, { signal }) {
      signal.throwIfAborted();
      await release(token);
    },
  });
}

type FreezerModule = {
  freeze(options: JsonObject): Promise<void>;
  release(options: JsonObject): Promise<void>;
};

async function load({ module }: LocalFreezer): Promise<FreezerModule> {
  const loaded: unknown = await import(module).catch((error: unknown) => {
    throw new FafnirError('INVALID_OPTIONS', `the freezer ${module} cannot be loaded`, { cause: error });
  });
  if (isFreezer(loaded)) return loaded;
  throw new FafnirError('INVALID_OPTIONS', `the freezer ${module} must export freeze and release`);
}

function isFreezer(loaded: unknown): loaded is FreezerModule {
  if (typeof loaded !== 'object' || loaded === null) return false;
  return 'freeze' in loaded && 'release' in loaded;
}
