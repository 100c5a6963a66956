import { type Duplex, PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CallOptions } from '../../core/contracts/index.ts';
import type { OpenStackPlace, OpenStackService } from './service.ts';

/**
 * The bytes of a place in order, as they are asked for, and as the pipe makes them where one is given; nothing is sent
 * before. Ends only where all of them came.
 */
export async function* download(
  service: Pick<OpenStackService, 'transfer'>,
  place: OpenStackPlace,
  { signal }: CallOptions,
  pipe: Duplex = new PassThrough(),
): AsyncGenerator<Uint8Array, void, undefined> {
  // Whoever leaves does not wait for what the service sends next.
  const left = new AbortController();
  const call = { signal: AbortSignal.any([signal, left.signal]) };
  const failing = service
    .transfer({ method: 'GET', ...place }, ({ body }) => pipeline(body, pipe), call)
    .then(
      () => undefined,
      (error: unknown) => {
        pipe.destroy();
        return { error };
      },
    );
  try {
    yield* pipe;
  } catch (error) {
    // The pipe tells that it broke, and the transfer why.
    throw (await failing)?.error ?? error;
  } finally {
    left.abort();
    pipe.destroy();
    await failing;
  }
}
