const LONGEST_MARGIN = 5 * 60_000;

/** How long a token is used of the milliseconds that it lasts. */
export function usefulTime(lifetime: number): number {
  return lifetime - Math.min(LONGEST_MARGIN, lifetime / 10);
}
