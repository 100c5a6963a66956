/**
 * Gives the memory of these bytes back at once, where they lie in an allocation of their own of so many bytes (their own
 * length unless given). Nobody uses them any more. The collector would do so in its own time, and late: it sees objects,
 * which are few and small, and not the megabytes behind them.
 */
export function release({ buffer, byteLength }: Uint8Array, allocated: number = byteLength): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === allocated) buffer.transfer(0);
}
