import * as z from 'zod';
import type { CallOptions, Clock, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseAnswer } from './answers.ts';
import { withDeadline } from './deadline.ts';

/** Which resource is waited for until it is gone, and how long. */
export interface OpenStackWaitGone {
  /** The resource, such as `['volumes', id]`. */
  readonly path: readonly string[];
  /** The member of the answer that is the resource, such as `volume`. Default: the answer itself. */
  readonly member?: string;
  /** From now on; services do not tell of work that nobody does any more. */
  readonly milliseconds: number;
}

/** Which state is waited for, and how long. */
export interface OpenStackWait extends OpenStackWaitGone {
  /** Values of the resource's `status`, as the service spells them. Every other one that tells of a failure ends the wait. */
  readonly until: readonly string[];
}

/** How a resource is looked at. */
export interface Look {
  /** For messages: the resource and its service. */
  readonly what: string;
  read(call: CallOptions): Promise<unknown>;
  /** What the service keeps of the resource's failures; undefined where it keeps nothing. */
  messages(call: CallOptions): Promise<unknown>;
}

const FAILED = /^(error|failed|killed)/i;
const SHORTEST_PAUSE = 250;
const LONGEST_PAUSE = 5_000;
const LONGEST_FAULT = 512;

const RESOURCE = z.looseObject({ status: z.string().default('unknown') });
// Where resources of Nova, and backups and others of Cinder, say why.
const FAULT = z.looseObject({
  fault: z.looseObject({ message: z.string() }).optional().catch(undefined),
  fail_reason: z.string().optional().catch(undefined),
  status_reason: z.string().optional().catch(undefined),
});
const MESSAGES = z.looseObject({ messages: z.array(z.looseObject({ user_message: z.string() })) });

type Resource = z.infer<typeof RESOURCE>;

/**
 * Resolves with the resource once it has one of the states. Rejects with `PLUGIN_FAILED` when it failed, and with
 * `UNAVAILABLE` when the time is up; both say in which state it is and why, in the service's own words.
 */
export async function awaitState(
  look: Look,
  { until, ...wait }: OpenStackWait,
  clock: Clock,
  call: CallOptions,
): Promise<JsonObject> {
  const found = await poll(look, wait, clock, call, ({ status }) => {
    if (until.includes(status)) return 'reached';
    return FAILED.test(status) ? 'failed' : 'coming';
  });
  return found as JsonObject;
}

/** Resolves when the service knows the resource no more; rejects as {@link awaitState} does. */
export async function awaitGone(
  look: Look,
  wait: OpenStackWaitGone,
  clock: Clock,
  call: CallOptions,
): Promise<void> {
  try {
    // What failed before stays so while it is removed.
    await poll(look, wait, clock, call, ({ status }) => (status === 'error_deleting' ? 'failed' : 'coming'));
  } catch (error) {
    if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
  }
}

async function poll(
  look: Look,
  { member, milliseconds }: OpenStackWaitGone,
  clock: Clock,
  call: CallOptions,
  judge: (resource: Resource) => 'reached' | 'failed' | 'coming',
): Promise<Resource> {
  let last: Resource | undefined;
  const started = clock.monotonic();
  const timeIsUp = new Error('time is up');
  try {
    const settled = await withDeadline(
      { clock, milliseconds, late: () => timeIsUp },
      call,
      async (inTime) => {
        for (;;) {
          last = resourceIn(look.what, member, await look.read(inTime));
          if (judge(last) !== 'coming') return last;
          const waited = clock.monotonic() - started;
          await clock.sleep(Math.min(Math.max(waited / 4, SHORTEST_PAUSE), LONGEST_PAUSE), inTime);
        }
      },
    );
    if (judge(settled) === 'reached') return settled;
  } catch (error) {
    if (error !== timeIsUp) throw error;
    throw new FafnirError('UNAVAILABLE', `${await describe(look, last, call)}, after ${milliseconds} ms`);
  }
  throw new FafnirError('PLUGIN_FAILED', await describe(look, last, call), {
    hint: 'The service could not do it; repair what the message says, and remove the resource.',
  });
}

async function describe(look: Look, resource: Resource | undefined, call: CallOptions): Promise<string> {
  if (resource === undefined) return `${look.what} was not seen`;
  const { fault, fail_reason, status_reason } = FAULT.parse(resource);
  const said = fault?.message ?? fail_reason ?? status_reason ?? (await messageOf(look, call)) ?? '';
  return `${look.what} is in the state ${resource.status}${said === '' ? '' : `: ${said.slice(0, LONGEST_FAULT)}`}`;
}

function resourceIn(what: string, member: string | undefined, body: unknown): Resource {
  if (member === undefined) return parseAnswer(what, RESOURCE, body);
  const inside = parseAnswer(what, z.looseObject({ [member]: RESOURCE }), body);
  return parseAnswer(what, RESOURCE, inside[member]);
}

async function messageOf({ messages }: Look, call: CallOptions): Promise<string | undefined> {
  try {
    return MESSAGES.safeParse(await messages(call)).data?.messages[0]?.user_message;
  } catch (error) {
    call.signal.throwIfAborted();
    // That it failed is known, and says more than that nobody tells why.
    if (FafnirError.is(error)) return undefined;
    throw error;
  }
}
