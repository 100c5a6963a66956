import { FafnirError } from '../../errors.ts';

const FREQUENCIES = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'];
const LONGEST_INTERVAL = 1_000;
const LARGEST_COUNT = 1_000;
const MONTH_LENGTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const whole = (from: number, to: number) => (item: string) =>
  /^\d{1,4}$/.test(item) && Number(item) >= from && Number(item) <= to;
const signed = (to: number) => (item: string) => whole(1, to)(item.replace(/^[+-]/, ''));
const day = (item: string): boolean => /^([+-]?([1-9]|[1-4]\d|5[0-3]))?(MO|TU|WE|TH|FR|SA|SU)$/.test(item);

/** What each part may have as items of its list. */
const ITEMS: ReadonlyMap<string, (item: string) => boolean> = new Map([
  ['FREQ', (item) => FREQUENCIES.includes(item)],
  ['INTERVAL', whole(1, LONGEST_INTERVAL)],
  ['COUNT', whole(1, LARGEST_COUNT)],
  ['UNTIL', (item) => /^\d{8}(T\d{6}Z?)?$/.test(item)],
  ['WKST', (item) => day(item) && item.length === 2],
  ['BYDAY', day],
  ['BYMONTH', whole(1, 12)],
  ['BYMONTHDAY', signed(31)],
  ['BYYEARDAY', signed(366)],
  ['BYWEEKNO', signed(53)],
  ['BYHOUR', whole(0, 23)],
  ['BYMINUTE', whole(0, 59)],
  ['BYSECOND', whole(0, 59)],
  ['BYSETPOS', signed(366)],
]);
const SINGLE = ['FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'WKST', 'BYSECOND'];

/** The parts of a recurrence rule by name, in upper case. */
export type RuleParts = ReadonlyMap<string, readonly string[]>;

/**
 * Reads a recurrence rule of RFC 5545, of days and longer periods. `INVALID_OPTIONS` for what is none, and for what would
 * be searched through for long; times that come more often than each minute cannot be said.
 */
export function ruleParts(text: string): RuleParts {
  const parts = new Map<string, readonly string[]>();
  for (const part of text
    .replace(/^RRULE:/i, '')
    .toUpperCase()
    .split(';')) {
    const [name = '', value = '', ...more] = part.split('=');
    const fits = ITEMS.get(name);
    if (fits === undefined) throw refused(`${part} is no part of a rule; parts are ${[...ITEMS.keys()]}`);
    if (parts.has(name)) throw refused(`${name} is given twice`);
    const items = value.split(',');
    if (more.length > 0 || !items.every(fits)) throw refused(`${part} cannot be; ${limitOf(name)}`);
    if (items.length > 1 && SINGLE.includes(name)) throw refused(`${name} has one value`);
    parts.set(name, items);
  }
  assertTogether(parts);
  return parts;
}

function assertTogether(parts: RuleParts): void {
  const frequency = parts.get('FREQ')?.[0];
  if (frequency === undefined) throw refused('FREQ is missing');
  if (parts.has('COUNT') && parts.has('UNTIL')) throw refused('COUNT and UNTIL exclude each other');
  const inYears = frequency === 'YEARLY';
  for (const name of ['BYYEARDAY', 'BYWEEKNO']) {
    if (parts.has(name) && !inYears) throw refused(`${name} needs FREQ=YEARLY`);
  }
  if (parts.has('BYMONTHDAY') && frequency === 'WEEKLY')
    throw refused('BYMONTHDAY does not go with FREQ=WEEKLY');
  const isNumbered = parts.get('BYDAY')?.some((item) => item.length > 2) === true;
  if (isNumbered && !inYears && frequency !== 'MONTHLY') {
    throw refused('a numbered day needs FREQ=MONTHLY or FREQ=YEARLY');
  }
  if (!hasDay(parts)) throw refused('none of its months has such a day');
}

// Without it, centuries of days would be searched through in vain.
function hasDay(parts: RuleParts): boolean {
  const days = parts.get('BYMONTHDAY');
  if (days === undefined) return true;
  const months = parts.get('BYMONTH') ?? MONTH_LENGTHS.map((_, at) => String(at + 1));
  const longest = Math.max(...months.map((month) => MONTH_LENGTHS[Number(month) - 1] ?? 0));
  return days.some((item) => Math.abs(Number(item)) <= longest);
}

function limitOf(name: string): string {
  if (name === 'FREQ')
    return `FREQ is one of ${FREQUENCIES}; for more than one time a day, add BYHOUR and BYMINUTE`;
  if (name === 'INTERVAL') return `INTERVAL is 1 to ${LONGEST_INTERVAL}`;
  if (name === 'COUNT') return `COUNT is 1 to ${LARGEST_COUNT}`;
  return 'see RFC 5545';
}

const refused = (why: string): FafnirError =>
  new FafnirError('INVALID_OPTIONS', `rrule: ${why.slice(0, 512)}`);
