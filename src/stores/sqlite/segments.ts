import * as z from 'zod';
import type { Json, StepRow } from '../../core/contracts/index.ts';
import { lengthOfSmallJson } from '../../core/small-json.ts';
import { damaged, type KeptStep, keepSteps } from '../records.ts';

const named = { step: z.string(), input: z.string().optional() };
const segmentSchema = z.array(
  z.discriminatedUnion('kind', [
    z.strictObject({ ...named, kind: z.literal('intent') }),
    z.strictObject({
      ...named,
      kind: z.literal('result'),
      value: z.custom<Json>((value) => value !== undefined),
    }),
  ]),
);

/** Journal rows that are added together, as one text; `LIMIT_EXCEEDED` where a value is too large. */
export function encodeSegment(rows: readonly StepRow[]): string {
  if (rows.every(isSmall)) return JSON.stringify(rows.map(plainRow));
  return `[${keepSteps(rows).map(encodeRow).join(',')}]`;
}

const isSmall = (row: StepRow): boolean =>
  row.kind === 'intent' || lengthOfSmallJson(row.value) !== undefined;

// Fields of one name each and in one order, whatever a caller has beside them; what is undefined is left out.
function plainRow(row: StepRow): object {
  const { step, kind, input } = row;
  return { step, kind, input, value: row.kind === 'result' ? row.value : undefined };
}

// The value is JSON already.
function encodeRow({ step, kind, input, value }: KeptStep): string {
  const given = input === null ? '' : `,"input":${JSON.stringify(input)}`;
  const result = value === null ? '' : `,"value":${value}`;
  return `{"step":${JSON.stringify(step)},"kind":"${kind}"${given}${result}}`;
}

/** The rows of a segment; `CORRUPT` where it cannot be one. */
export function decodeSegment(job: string, text: string): readonly StepRow[] {
  const what = `the journal of job ${job}`;
  try {
    // The schema leaves out what is missing, and never adds an undefined field.
    return segmentSchema.parse(JSON.parse(text)) as readonly StepRow[];
  } catch (cause) {
    throw damaged(what, cause);
  }
}
