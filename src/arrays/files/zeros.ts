/** Bytes: runs of zeros shorter than this are not worth a hole. */
export const ZERO_GRAIN = 65_536;

const ZEROS = Buffer.alloc(ZERO_GRAIN);

/** True when all bytes are zero; takes at most {@link ZERO_GRAIN} of them. */
export function isZero(bytes: Uint8Array): boolean {
  return ZEROS.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
