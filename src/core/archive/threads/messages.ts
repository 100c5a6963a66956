import type { ErrorRecord } from '../../contracts/index.ts';
import type { SealingOptions, Stripe, UnreadStripe } from './sealing-lane.ts';
import type { InputOf, Tasks } from './tasks.ts';

/** What a thread is asked. */
export type Request =
  | { readonly kind: 'run'; readonly name: keyof Tasks; readonly input: InputOf<keyof Tasks> }
  | { readonly kind: 'begin'; readonly lane: number; readonly options: SealingOptions }
  | {
      readonly kind: 'seal';
      readonly lane: number;
      readonly stripe: Stripe | UnreadStripe;
      readonly spare?: ArrayBuffer;
    }
  | { readonly kind: 'finish'; readonly lane: number }
  | { readonly kind: 'end'; readonly lane: number };

/** A request, numbered. */
export type Asked = { readonly id: number; readonly request: Request };

/** What a thread answers. */
export type Answer = { readonly id: number } & (
  | { readonly output: unknown }
  | { readonly error: ErrorRecord }
);
