import * as z from 'zod';
import type { NewJob } from '../contracts/index.ts';
import { parseJobId } from '../identity.ts';
import type { WhenBusy } from '../jobs/operation.ts';
import type { ArchiveInput, ArchiveResult } from '../operations/archive.ts';
import type { CollectInput, CollectResult } from '../operations/collect.ts';
import type { HoldInput, HoldResult } from '../operations/hold.ts';
import type { ProtectInput, ProtectResult } from '../operations/protect-commit.ts';
import type { RemoveInput, RemoveResult } from '../operations/remove.ts';
import type { RestoreInput, RestoreResult } from '../operations/restore-input.ts';
import type { RetainInput, RetainResult } from '../operations/retain.ts';
import type { VerifyInput, VerifyResult } from '../operations/verify.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { type Reasoned, reasonSchema } from './auditing.ts';
import type { Job } from './job.ts';
import type { Session } from './session.ts';
import type { Cancellable, SessionServices } from './session-services.ts';

/** What a call that starts a job may say. */
export interface JobOptions extends Cancellable, Reasoned {
  /**
   * What the job does while another works on what it needs: `queue` (default: it begins again later), `wait` (it keeps
   * its worker) or `refuse` (it fails with `BUSY`).
   */
  readonly whenBusy?: WhenBusy;
}

/** What each operation is asked for and what it makes. */
export interface OperationTypes {
  readonly adopt: { readonly input: ProtectInput; readonly result: ProtectResult };
  readonly archive: { readonly input: ArchiveInput; readonly result: ArchiveResult };
  readonly protect: { readonly input: ProtectInput; readonly result: ProtectResult };
  readonly restore: { readonly input: RestoreInput; readonly result: RestoreResult };
  readonly verify: { readonly input: VerifyInput; readonly result: VerifyResult };
  readonly remove: { readonly input: RemoveInput; readonly result: RemoveResult };
  readonly retain: { readonly input: RetainInput; readonly result: RetainResult };
  readonly hold: { readonly input: HoldInput; readonly result: HoldResult };
  readonly collect: { readonly input: CollectInput; readonly result: CollectResult };
}

/** One of them. */
export type OperationName = keyof OperationTypes;

/** What calls that start jobs have in common. */
export const jobOptions: {
  readonly signal: z.ZodExactOptional<z.ZodType<AbortSignal>>;
  readonly whenBusy: z.ZodExactOptional<z.ZodType<WhenBusy>>;
  readonly reason: z.ZodExactOptional<z.ZodType<string>>;
} = {
  signal: z.instanceof(AbortSignal).exactOptional(),
  whenBusy: z.enum(['queue', 'wait', 'refuse']).exactOptional(),
  reason: reasonSchema.exactOptional(),
};
const jobOptionsSchema = strictOptions(jobOptions) satisfies z.ZodType<JobOptions>;

/** Who asks for a job. */
interface Submitter {
  readonly services: SessionServices;
  readonly session: Session;
}

/** Adds a job. It runs on when the caller goes; an abort of `signal` cancels it. */
export function submit<Name extends OperationName>(
  submitter: Submitter,
  operation: Name,
  input: Omit<OperationTypes[Name]['input'], 'whenBusy'>,
  options: JobOptions,
): Promise<Job<OperationTypes[Name]['result']>> {
  return submitJob(submitter, { operation, input }, options);
}

/** The same for a job whose operation is known only now, and that may be made from a template. */
export async function submitJob<Result>(
  { services, session }: Submitter,
  { operation, input: asked, ...made }: Pick<NewJob, 'operation' | 'template'> & { readonly input: object },
  options: JobOptions,
): Promise<Job<Result>> {
  const { signal, whenBusy = 'queue', reason } = parseOptions(operation, jobOptionsSchema, options);
  signal?.throwIfAborted();
  const input = { ...asked, whenBusy };
  const { runner, clock, ids } = services;
  const createdAt = clock.now();
  const id = parseJobId(ids(createdAt));
  const { tenant, actor } = session;
  const job = { id, tenant, actor, operation, operationVersion: 1, input, createdAt, ...made };
  await runner.submit(job, undefined, reason === undefined ? {} : { reason });
  const handle = session.jobs.handle<Result>(id);
  if (signal !== undefined) cancelWith(services, signal, handle);
  return handle;
}

function cancelWith({ announcer }: SessionServices, signal: AbortSignal, job: Job<unknown>): void {
  const cancel = (): void => {
    // A job that cannot be told now learns of it no later than with its next heartbeat, or has ended.
    job.cancel().catch(() => undefined);
  };
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  const forget = announcer.on('job.ended', ({ job: ended }) => {
    if (ended !== job.id) return;
    signal.removeEventListener('abort', cancel);
    forget();
  });
}
