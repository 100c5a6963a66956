import { Readable } from 'node:stream';
import type * as undici from 'undici';
import type { Movement } from './deadline.ts';
import type { WireAnswer } from './wire.ts';

/** A request whose body is bytes, as is that of its answer. */
export interface WireTransfer {
  /** For messages: what is tried, and of which service. */
  readonly what: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent one after the other. */
  readonly body: readonly Uint8Array[] | OpenStackStream;
}

/** Bytes that are made while they are sent, so that there may be any number of them. */
export interface OpenStackStream {
  /** How many there are; with fewer or more the transfer fails. */
  readonly size: number;
  /** Begins with the first byte each time it is called. What was yielded must not change. */
  open(): AsyncIterable<Uint8Array>;
}

/** An answer of success before its body has come. */
export interface OpenStackBytes {
  /** The HTTP status. */
  readonly status: number;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** May be read once, or left. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Makes something of an answer of success. */
export type Receive<Value> = (answer: OpenStackBytes) => Promise<Value>;

/** What was made of an answer. */
export interface WireReceived<Value> {
  readonly status: number;
  readonly received: Value;
}

// So that a slow connection is seen to move.
const PIECE = 256 * 1024;
const LONGEST_REFUSAL = 64 * 1024;

/** Sends bytes once; an answer that is no success comes back as it is, of its text no more than the beginning. */
export async function exchangeBytes<Value>(
  send: typeof undici.request,
  dispatcher: undici.Agent,
  { method, url, headers, body }: WireTransfer,
  receive: Receive<Value>,
  signal: AbortSignal,
  movement: Movement,
): Promise<WireReceived<Value> | WireAnswer> {
  const isStream = 'open' in body;
  const size = isStream ? body.size : body.reduce((bytes, part) => bytes + part.length, 0);
  const pieces = isStream ? made(body, movement) : watched(piecesOf(body), movement.moved);
  const answer = await send(url, {
    dispatcher,
    method,
    signal,
    headers: { ...headers, ...((method === 'PUT' || size > 0) && { 'content-length': String(size) }) },
    ...(size > 0 && { body: Readable.from(pieces) }),
  });
  movement.moved();
  try {
    const head = { status: answer.statusCode, headers: headersOf(answer) };
    const incoming = received(answer.body, movement);
    if (head.status < 200 || head.status >= 300)
      return { ...head, body: decode(await beginningOf(incoming)) };
    return { status: head.status, received: await receive({ ...head, body: incoming }) };
  } finally {
    // What was left must not hold the connection; of much the connection is given up.
    await answer.body.dump();
  }
}

/** Headers by their names in lower case. */
export function headersOf({
  headers,
}: Pick<undici.Dispatcher.ResponseData, 'headers'>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? '')]));
}

/** What JSON says; text where it is none, undefined where there is nothing. */
export function decode(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function* watched<Piece>(pieces: Iterable<Piece>, moved: () => void): Generator<Piece, void, undefined> {
  for (const piece of pieces) {
    moved();
    yield piece;
  }
}

/** How long it takes to make a piece is no matter of the service. */
async function* made(
  stream: OpenStackStream,
  { moved, held }: Movement,
): AsyncGenerator<Uint8Array, void, undefined> {
  held();
  for await (const bytes of stream.open()) {
    for (const piece of piecesOf([bytes])) {
      moved();
      yield piece;
    }
    held();
  }
  moved();
}

/** How long a reader takes over a piece is no matter of the service. */
async function* received(
  pieces: AsyncIterable<Uint8Array>,
  { moved, held }: Movement,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    held();
    yield piece;
    moved();
  }
}

function* piecesOf(parts: readonly Uint8Array[]): Generator<Uint8Array, void, undefined> {
  for (const part of parts) {
    for (let offset = 0; offset < part.length; offset += PIECE) yield part.subarray(offset, offset + PIECE);
  }
}

async function beginningOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= LONGEST_REFUSAL) break;
  }
  return Buffer.concat(chunks).subarray(0, LONGEST_REFUSAL).toString();
}
