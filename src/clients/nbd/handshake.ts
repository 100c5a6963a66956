import type { Socket } from 'node:net';
import { FafnirError } from '../../core/errors.ts';
import type { ByteReader } from '../host/byte-reader.ts';
import { message, NBD } from './protocol.ts';

const LONGEST_REPLY = 64 * 1024;

/** What the server offers. */
export interface NbdOffer {
  /** Bytes. */
  readonly size: number;
  /** True where it tells which bytes read as zeros. */
  readonly tellsZeros: boolean;
}

/** Agrees with a server on the one export that it has, until requests can be made. */
export async function shakeHands(socket: Socket, reader: ByteReader): Promise<NbdOffer> {
  const hello = await reader.take(NBD.hello.length + 2);
  if (textOf(hello.subarray(0, -2)) !== NBD.hello) throw notUnderstood('its greeting');
  socket.write(message([4, NBD.clientFlags]));
  await negotiate(socket, reader, NBD.options.structuredReply, message());
  const query = message([4, 0], [4, 1], [4, NBD.allocation.length], NBD.allocation);
  const contexts = await negotiate(socket, reader, NBD.options.setMetaContext, query);
  const infos = await negotiate(socket, reader, NBD.options.go, message([4, 0], [2, 0]));
  const info = infos.find((one) => one.length >= 12 && one.readUInt16BE(0) === NBD.infoExport);
  if (info === undefined) throw notUnderstood('an answer without the size');
  const size = Number(info.readBigUInt64BE(2));
  if (!Number.isSafeInteger(size)) throw notUnderstood(`the size ${size}`);
  return { size, tellsZeros: contexts.length > 0 };
}

/** Sends an option, and resolves with what the server says before it acknowledges. */
async function negotiate(
  socket: Socket,
  reader: ByteReader,
  option: number,
  data: Uint8Array,
): Promise<readonly Buffer[]> {
  socket.write(Buffer.concat([message(NBD.optionMagic, [4, option], [4, data.length]), data]));
  const said: Buffer[] = [];
  for (;;) {
    const head = bufferOf(await reader.take(20));
    const [type, length] = [head.readUInt32BE(12), head.readUInt32BE(16)];
    if (head.readBigUInt64BE(0) !== NBD.optionReplyMagic || head.readUInt32BE(8) !== option) {
      throw notUnderstood('an answer to what was not asked');
    }
    if (length > LONGEST_REPLY) throw notUnderstood(`an answer of ${length} bytes`);
    const reply = bufferOf(await reader.take(length));
    if (type === NBD.optionReplies.acknowledged) return said;
    if (type !== NBD.optionReplies.info && type !== NBD.optionReplies.metaContext) {
      throw new FafnirError('UNSUPPORTED', `the block server refused option ${option}: ${textOf(reply)}`);
    }
    said.push(reply);
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const textOf = (bytes: Uint8Array): string => bufferOf(bytes).toString();

function notUnderstood(what: string): FafnirError {
  return new FafnirError('WRONG_ANSWER', `the block server sent what is not understood: ${what}`);
}
