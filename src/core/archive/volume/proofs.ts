import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { CallOptions } from '../../contracts/index.ts';
import { bankKeys } from '../keys.ts';
import { getRecord, isDamage, putRecord } from '../records.ts';
import { instant } from '../schema-parts.ts';
import type { Vault } from '../vault.ts';
import { isPackName } from './pack-store.ts';

/** How thoroughly a pack was read: see {@link PackProof}. */
export type VerifyLevel = 'tags' | 'deep';

/** Some packs that were found good. */
export interface PackProof {
  /** `tags`: every tag in them was checked; `deep`: every chunk in them was compared with its id. */
  readonly level: VerifyLevel;
  /** When, ISO 8601 in UTC. */
  readonly at: string;
  /** Their names. */
  readonly packs: readonly string[];
}

const proofSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('proof'),
  level: z.enum(['tags', 'deep']),
  at: instant,
  packs: z.array(z.string().refine(isPackName, 'is no name of a pack')),
});

/** Stores a proof of some packs below a token. */
export async function putProof(
  vault: Vault,
  token: string,
  proof: PackProof,
  call: CallOptions,
): Promise<void> {
  const key = `${bankKeys.proofs(vault.tenant)}${token}/${randomBytes(16).toString('hex')}`;
  await putRecord(vault, key, { format: 1, kind: 'proof', ...proof }, call);
}

/** The packs that were proven at least so well below a token. A proof that cannot be read counts for nothing. */
export async function provenPacks(
  vault: Vault,
  token: string,
  level: VerifyLevel,
  call: CallOptions,
): Promise<ReadonlySet<string>> {
  const proven = new Set<string>();
  for await (const { key } of vault.bank.list(`${bankKeys.proofs(vault.tenant)}${token}/`, call)) {
    try {
      const proof = await getRecord(vault, key, proofSchema, call);
      if (level === 'deep' && proof.level !== 'deep') continue;
      for (const name of proof.packs) proven.add(name);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return proven;
}

/** Says that a pack was found damaged, unless that was said before: no writer relies on it any more. */
export async function putDamage(
  vault: Vault,
  { pack, reason, at }: { readonly pack: string; readonly reason: string; readonly at: string },
  call: CallOptions,
): Promise<void> {
  const key = `${bankKeys.damage(vault.tenant)}${pack}`;
  await putRecord(vault, key, { format: 1, kind: 'damage', pack, reason, at }, call);
}
