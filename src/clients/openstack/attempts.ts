import type { CallOptions, Clock } from '../../core/contracts/index.ts';
import { retryAfter } from '../../core/retry-after.ts';
import { isConnectionFailure, wasNeverSent } from './errors.ts';
import type { Wire, WireAnswer, WireRequest } from './wire.ts';

const MOST = 4;
const FIRST_PAUSE = 250;
// Who is asked to wait longer is told so, and may do something else meanwhile.
const LONGEST_PAUSE = 20_000;
const PASSING = [429, 502, 503, 504];

/**
 * Sends a request, again where that is safe: what may be repeated after connections that failed and answers of a service
 * that is overloaded or away; everything else only where the service cannot have begun with it.
 */
export async function sendWithAttempts(
  wire: Wire,
  clock: Clock,
  request: WireRequest,
  call: CallOptions,
): Promise<WireAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    const pause = FIRST_PAUSE * 2 ** (attempt - 1);
    let longer = 0;
    try {
      const answer = await wire.send(request, call);
      longer = retryAfter(answer.headers) ?? 0;
      if (attempt === MOST || longer > LONGEST_PAUSE || !isPassing(request, answer)) return answer;
    } catch (error) {
      call.signal.throwIfAborted();
      const again = wasNeverSent(error) || (request.repeatable && isConnectionFailure(error));
      if (attempt === MOST || !again) throw error;
    }
    await clock.sleep(Math.max(pause, longer), call);
  }
}

function isPassing({ repeatable }: WireRequest, { status, headers }: WireAnswer): boolean {
  if (repeatable) return PASSING.includes(status);
  // One that names a time has not begun; a gateway may have.
  return status === 429 || (status === 503 && retryAfter(headers) !== undefined);
}
