import { type ErrorCode, FafnirError } from '../../core/errors.ts';

/** Numbers of the NBD protocol, fixed newstyle; https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md */
export const NBD = {
  hello: 'NBDMAGICIHAVEOPT',
  optionMagic: 'IHAVEOPT',
  optionReplyMagic: 0x3_e889_0455_65a9n,
  /** Fixed newstyle, without zeros for padding. */
  clientFlags: 3,
  options: { go: 7, structuredReply: 8, setMetaContext: 10 },
  optionReplies: { acknowledged: 1, info: 3, metaContext: 4 },
  infoExport: 0,
  requestMagic: 0x2560_9513,
  requests: { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6, blockStatus: 7 },
  simpleReplyMagic: 0x6744_6698,
  structuredReplyMagic: 0x668e_33ef,
  /** The flag of the last chunk of a structured reply. */
  done: 1,
  chunks: { none: 0, data: 1, hole: 2, blockStatus: 5, errors: 0x8000 },
  /** The context that tells of holes and zeros, and its flag for what reads as zeros. */
  allocation: 'base:allocation',
  zero: 2,
} as const;

const ERRORS: Readonly<Record<number, ErrorCode>> = {
  1: 'ACCESS_DENIED',
  22: 'WRONG_ANSWER',
  28: 'NO_SPACE',
  95: 'UNSUPPORTED',
};

/** The error that a server answered with, an errno. */
export function nbdError(what: string, errno: number): FafnirError {
  return new FafnirError(ERRORS[errno] ?? 'UNAVAILABLE', `${what}: the block server answered error ${errno}`);
}

/** Bytes of one message from numbers of so many bytes, texts and bytes. */
export function message(...fields: readonly (readonly [1 | 2 | 4 | 8, number] | string)[]): Uint8Array {
  const parts = fields.map((field) => {
    if (typeof field === 'string') return Buffer.from(field);
    const [width, value] = field;
    const part = Buffer.alloc(width);
    if (width === 8) part.writeBigUInt64BE(BigInt(value));
    else part.writeUIntBE(value, 0, width);
    return part;
  });
  return Buffer.concat(parts);
}
