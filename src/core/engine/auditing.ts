import * as z from 'zod';
import type { AuditAction, AuditEntry, AuditFilter, Clock, TenantId } from '../contracts/index.ts';
import { parseTenantId } from '../identity.ts';
import { parseOptions, strictOptions } from '../options.ts';

/** What a call that changes something may say of itself. */
export interface Reasoned {
  /** Why, for whoever reads the audit: 1 to 1,000 characters, none of them secret. */
  readonly reason?: string;
}

/** What a call of an operator may say of itself. */
export interface OperatorCall extends Reasoned {
  /** Who acts, for whoever reads the audit. Default: `operator`. */
  readonly actor?: string;
}

/** Which records of which chain, for the operator of an engine. */
export interface OperatorAuditFilter extends AuditFilter {
  /** Whose chain; null for that of the operators. */
  readonly tenant: string | null;
}

/** A reason from outside. */
export const reasonSchema: z.ZodType<string> = z.string().min(1).max(1_000);
/** An actor from outside. */
export const actorSchema: z.ZodType<string> = z.string().min(1).max(255);
const reasonedSchema = strictOptions({ reason: reasonSchema.exactOptional() }) satisfies z.ZodType<Reasoned>;
const operatorSchema = strictOptions({
  reason: reasonSchema.exactOptional(),
  actor: actorSchema.exactOptional(),
}) satisfies z.ZodType<OperatorCall>;
const filter = {
  from: z.number().exactOptional(),
  until: z.number().exactOptional(),
  after: z.int().nonnegative().exactOptional(),
};
const filterSchema = strictOptions(filter) satisfies z.ZodType<AuditFilter>;
const operatorFilterSchema = strictOptions({ ...filter, tenant: z.string().nullable() });

/** What a chain is to tell of something that was done. */
export const entryOf = (
  { clock }: { readonly clock: Pick<Clock, 'now'> },
  { actor, reason }: { readonly actor: string } & Reasoned,
  action: AuditAction,
  object: AuditEntry['object'],
): AuditEntry => ({ at: clock.now(), actor, action, object, ...(reason !== undefined && { reason }) });

/** What a call said of itself, or `INVALID_OPTIONS`. */
export const parseReasoned = (where: string, options: Reasoned): Reasoned =>
  parseOptions(where, reasonedSchema, options);

/** What an operator's call said of itself, or `INVALID_OPTIONS`. */
export const parseOperator = (
  where: string,
  options: OperatorCall,
): OperatorCall & { readonly actor: string } => ({
  actor: 'operator',
  ...parseOptions(where, operatorSchema, options),
});

/** Which records, or `INVALID_OPTIONS`. */
export const parseAuditFilter = (asked: AuditFilter): AuditFilter =>
  parseOptions('audit', filterSchema, asked);

/** Which records of which chain, or `INVALID_OPTIONS`. */
export function parseOperatorFilter(asked: OperatorAuditFilter): readonly [TenantId | null, AuditFilter] {
  const { tenant, ...rest } = parseOptions('engine.audit', operatorFilterSchema, asked);
  return [parseChain(tenant), rest];
}

/** Whose chain, or `INVALID_ID`. */
export const parseChain = (tenant: string | null): TenantId | null =>
  tenant === null ? null : parseTenantId(tenant);
