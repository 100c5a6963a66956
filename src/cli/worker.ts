import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createEngine, type EngineOptions, FafnirError } from 'fafnir';

/** Runs an engine until a signal, and tells what it does in lines of JSON. Resolves with the exit code. */
export async function runWorker(configuration: string): Promise<number> {
  try {
    const engine = await createEngine(await optionsOf(configuration));
    engine.on('job.started', tell);
    engine.on('job.ended', tell);
    engine.on('worker.failed', tell);
    tell({ type: 'worker.started' });
    await signalled();
    tell({ type: 'worker.draining' });
    const enough = signalled().then(() => engine.close());
    await Promise.race([engine.close({ drain: true }), enough]);
    tell({ type: 'worker.ended' });
    return 0;
  } catch (error) {
    const { code, message, hint } = FafnirError.from(error, 'INVALID_OPTIONS', `worker of ${configuration}`);
    tell({ type: 'worker.failed', error: { code, message, hint } });
    return 1;
  }
}

async function optionsOf(configuration: string): Promise<EngineOptions> {
  const module: { readonly options?: EngineOptions | (() => EngineOptions | Promise<EngineOptions>) } =
    await import(pathToFileURL(resolve(configuration)).href);
  const { options } = module;
  if (options === undefined) throw new FafnirError('INVALID_OPTIONS', `${configuration} exports no options`);
  return typeof options === 'function' ? await options() : options;
}

const signalled = (): Promise<unknown> => Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);

function tell(event: { readonly type: string; readonly [fact: string]: unknown }): void {
  console.log(JSON.stringify(event));
}
