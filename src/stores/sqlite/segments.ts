import * as z from 'zod';
import type { Json, StepRow } from '../../core/contracts/index.ts';
import { damaged, type KeptStep } from '../records.ts';

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

/** Journal rows that were added together, as one text. */
export const encodeSegment = (rows: readonly KeptStep[]): string => `[${rows.map(encodeRow).join(',')}]`;

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
