import type { JobStore } from '../../src/index.ts';
import { postgresCases } from './postgres-cases.ts';
import { sqliteCases } from './sqlite-cases.ts';

/** Where the jobs of a case may be. */
export const STORES = ['sqlite', 'postgres'] as const;
/** One of them. */
export type StoreName = (typeof STORES)[number];

/** The kind of job store that cases have; each has one of its own, found by the directory of the case. */
export interface CaseStore {
  /** On the command line. */
  readonly name: StoreName;
  /** Opens the store of a case, as any process may. */
  open(directory: string): JobStore;
  /** Gives a case what another one's store has. The directory has been copied before. */
  copy(from: string, to: string): Promise<void>;
  /** Loses all that the store of a case has. */
  lose(directory: string): Promise<void>;
  /** Removes what is not in the case's directory. */
  clear(directory: string): Promise<void>;
  /** The tables of a case, as they are now. */
  tables(directory: string): Promise<Tables>;
}

/** A row by its columns. */
export type TableRow = Readonly<Record<string, unknown>>;
/** The rows of each table, in order of name. */
export type Tables = ReadonlyMap<string, readonly TableRow[]>;

/** The kind of store of this name. */
export const caseStoreOf = (name: StoreName): CaseStore =>
  name === 'sqlite' ? sqliteCases : postgresCases();
