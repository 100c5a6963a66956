import type { JobStore } from '../../src/index.ts';
import type { Boundaries } from './boundaries.ts';
import type { CaseStore } from './case-store.ts';
import type { Problem } from './look.ts';
import type { Message } from './messages.ts';
import type { Gate } from './ports.ts';
import type { Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** Where the application may be that is protected. */
export const SITES = ['files', 'rbd', 'openstack'] as const;
/** One of them. */
export type SiteName = (typeof SITES)[number];

/** How an engine is opened on the directory of a case. */
export interface Opening {
  /** Its job store. */
  readonly store: JobStore;
  /** What stands between it and its plugins. */
  readonly gate?: Gate;
  /** How long a claim lasts unless extended. */
  readonly leaseMilliseconds?: number;
  /** How far its clock is ahead, in milliseconds. */
  readonly ahead?: number;
}

/** What is known of a case whose processes have all ended. */
export interface Seen {
  /** What the children told. */
  readonly told: readonly Message[];
  /** Whether the job database was lost on the way: then the bank alone has to do. */
  readonly lost: boolean;
  /** Whether a call arrived late. */
  readonly late?: boolean;
  /** How long pauses may still last, in milliseconds. */
  readonly patience?: number;
}

/** An application, what processes that work on it strike themselves at, and how what they left is judged. */
export interface Site extends AsyncDisposable {
  /** On the command line. */
  readonly name: SiteName;
  /** Where the jobs of its cases are. */
  readonly jobs: CaseStore;
  /** What is done there. */
  readonly scenarios: readonly Scenario[];
  /** Whether a copy of a case's directory is a case of its own. */
  readonly isCopied: boolean;
  /** Cases that may be run beside each other. */
  readonly casesAtOnce: number;
  /** A child that takes longer than so many milliseconds hangs. */
  readonly longestChild: number;
  /** Counts boundaries that are no calls of the ports, in this process. */
  watch(boundaries: Boundaries): void;
  /** Whether processes are killed at a place. */
  isStruck(place: string): boolean;
  /** Makes what a scenario begins with, in an existing, empty directory. */
  prepare(scenario: Scenario, directory: string): Promise<void>;
  /** Opens an engine. */
  open(directory: string, opening: Opening): Promise<World>;
  /** Tells what does not hold of all that must once the processes of a case have ended. */
  look(directory: string, seen: Seen): Promise<readonly Problem[]>;
  /** Removes what a case has outside of its directory. */
  clear(directory: string): Promise<void>;
}
