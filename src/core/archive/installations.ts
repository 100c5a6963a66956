import * as z from 'zod';
import type { CallOptions } from '../contracts/index.ts';
import { isInstallation } from '../identity.ts';
import { bankKeys } from './keys.ts';
import { getRecord, isDamage, putRecord } from './records.ts';
import { instant } from './schema-parts.ts';
import type { Vault } from './vault.ts';

/**
 * Whose job store wrote to a tenant's part of a bank. It is sealed like all of it, so that whoever shows it held the
 * tenant's keys: that is what proves a name on an array to be of an installation whose store was lost.
 */
export type Installation = {
  /** As the job store tells it. */
  readonly id: string;
  /** When it was first recorded, ISO 8601 in UTC. */
  readonly at: string;
};

const installationSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('installation'),
  id: z.string().refine(isInstallation),
  at: instant,
});

/** Records an installation unless it is recorded already. */
export async function putInstallation(
  vault: Vault,
  installation: Installation,
  call: CallOptions,
): Promise<void> {
  const key = bankKeys.installation(vault.tenant, installation.id);
  // Most often it is there, and then nothing need be sealed.
  if ((await vault.bank.head(key, call)) !== undefined) return;
  await putRecord(vault, key, { format: 1, kind: 'installation', ...installation }, call);
}

/** The installations that are recorded; a record that does not open proves nothing, and is left out. */
export async function* listInstallations(vault: Vault, call: CallOptions): AsyncGenerator<Installation> {
  for await (const { key } of vault.bank.list(bankKeys.installations(vault.tenant), call)) {
    try {
      const { id, at } = await getRecord(vault, key, installationSchema, call);
      if (key === bankKeys.installation(vault.tenant, id)) yield { id, at };
    } catch (error) {
      call.signal.throwIfAborted();
      if (!isDamage(error)) throw error;
    }
  }
}
