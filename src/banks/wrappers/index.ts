export { limited, type LimitedOptions } from './limited.ts';
export { type BankCalled, measured, type MeasuredOptions } from './measured.ts';
export { prefixed } from './prefixed.ts';
export { readOnly } from './read-only.ts';
export { retried, type RetriedOptions } from './retried.ts';
