/** How long a `retry-after` header asks to be left alone, in milliseconds: it has seconds, or an instant by the service's clock. */
export function retryAfter(headers: Readonly<Record<string, string>>): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  const pause = /^\d+$/.test(value)
    ? Number(value) * 1_000
    : Date.parse(value) - Date.parse(headers.date ?? '');
  return Number.isFinite(pause) && pause >= 0 ? pause : undefined;
}
