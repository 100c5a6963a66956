/**
 * Of how many times a schedule's ticks are kept: a week of one that has a tick each minute, and decades of one that has
 * one a day. Which ticks were dealt with is told by the schedule's next one, so that older records are history alone.
 */
export const KEPT_TICKS: number = 10_000;
