import { readFileSync } from 'node:fs';

/** The lab's PostgreSQL, or why there is none and how to get one. */
export type PostgresLab =
  | { readonly url: string; readonly skipped?: undefined }
  | { readonly url?: undefined; readonly skipped: string };

/** Tells whether the PostgreSQL lab is to be used. */
export function postgresLab(): PostgresLab {
  const settings = process.env.FAFNIR_LAB_POSTGRES ?? '';
  if (settings !== '') return JSON.parse(readFileSync(settings, 'utf8'));
  return {
    skipped: 'FAFNIR_LAB_POSTGRES is not set; run `npm run lab:postgres` as root and export what it prints',
  };
}
