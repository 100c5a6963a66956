import type { RbdClient } from '../../clients/rbd/client.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/**
 * Removes the snapshot with this number, whatever it is called: a program that outlives its dead caller may be about to
 * rename it. A missing one is success.
 */
export async function removeNumbered(
  client: RbdClient,
  image: string,
  id: number,
  call: CallOptions,
): Promise<void> {
  for (;;) {
    const found = (await client.snapshots(image, call)).find((one) => one.id === id);
    if (found === undefined) return;
    try {
      return await client.removeSnapshot(image, found.name, call);
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
    }
  }
}
