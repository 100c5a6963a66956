import * as z from 'zod';
import { strictOptions } from '../../core/options.ts';

/** Options of `keyFile`, `createKeyFile` and `rotateKeyFile`. */
export interface KeyFileOptions {
  /** Where the file is. Its folder exists. */
  readonly path: string;
}

/** Checks {@link KeyFileOptions}. */
export const KEY_FILE_OPTIONS: z.ZodType<KeyFileOptions> = strictOptions({ path: z.string().min(1) });
