/** Bytes of the body of a put. */
export const bodySize = (body: Uint8Array | readonly Uint8Array[]): number =>
  body instanceof Uint8Array ? body.length : body.reduce((size, part) => size + part.length, 0);
