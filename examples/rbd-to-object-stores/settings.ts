import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RbdArrayOptions } from 'fafnir/arrays/rbd';
import type { S3BankOptions } from 'fafnir/banks/s3';
import type { SwiftBankOptions } from 'fafnir/banks/swift';

/** What the example works with: in the file that FAFNIR_EXAMPLE_SETTINGS names, since it has secrets. */
export interface Settings {
  /** Where the job store and the key file are; both processes see it. */
  readonly directory: string;
  /** The pool. */
  readonly rbd: Omit<RbdArrayOptions, 'name'>;
  /** A container that exists. */
  readonly swift: Omit<SwiftBankOptions, 'name'>;
  /** A bucket that exists. */
  readonly s3: Omit<S3BankOptions, 'name'>;
}

/** See {@link Settings}. */
export const settings: Settings = JSON.parse(readFileSync(settingsPath(), 'utf8'));

/** Jobs and plans. */
export const storePath: string = join(settings.directory, 'fafnir.db');

/** The keys of both banks. Nothing that they wrapped can be read without it. */
export const keyPath: string = join(settings.directory, 'keys.json');

function settingsPath(): string {
  const path = process.env.FAFNIR_EXAMPLE_SETTINGS ?? '';
  if (path !== '') return path;
  throw new Error(
    'set FAFNIR_EXAMPLE_SETTINGS to the path of a file with the settings; see docs/processes.md',
  );
}
