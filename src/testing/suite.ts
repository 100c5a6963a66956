/** One obligation of a contract, as a test that rejects when the implementation does not meet it. */
export interface SuiteCase {
  /** The obligation, as a sentence. */
  readonly name: string;
  /** Why the case does not apply to this implementation: what it declared itself unable to do. */
  readonly skip?: string;
  /** Tries it on a fresh instance, and cleans up. */
  run(): Promise<void>;
}

/** A contract as cases, for any test runner or none. */
export interface Suite {
  /** The contract and the implementation. */
  readonly name: string;
  /** In the order to run them. */
  readonly cases: readonly SuiteCase[];
}

/** The part of a test runner that suites use: vitest, node:test, mocha and jest all have it. */
export interface TestRunner {
  /** Groups cases. */
  describe(name: string, body: () => void): unknown;
  /** Adds a case. */
  readonly it: ((name: string, body: () => Promise<void>) => unknown) & {
    /** Adds a case that is shown but not run. */
    skip(name: string, body: () => Promise<void>): unknown;
  };
}

/** Hands a suite's cases to a test runner; skipped ones say why in their names. */
export function registerSuite(suite: Suite, runner: TestRunner): void {
  runner.describe(suite.name, () => {
    for (const { name, skip, run } of suite.cases) {
      if (skip === undefined) runner.it(name, run);
      else runner.it.skip(`${name} (does not apply: ${skip})`, run);
    }
  });
}

/** A case that did not hold. */
export interface FailedCase {
  /** The obligation. */
  readonly name: string;
  /** How it was broken. */
  readonly error: unknown;
}

/** A case that does not apply. */
export interface SkippedCase {
  /** The obligation. */
  readonly name: string;
  /** What the implementation declared itself unable to do. */
  readonly reason: string;
}

/** What a run of a suite without a test runner found. */
export interface SuiteReport {
  /** Names of the cases that held. */
  readonly passed: readonly string[];
  /** Cases that did not. */
  readonly failed: readonly FailedCase[];
  /** Cases that do not apply. */
  readonly skipped: readonly SkippedCase[];
}

/** Runs a suite without a test runner, as a preflight against a live system; never rejects. */
export async function runSuite(suite: Suite): Promise<SuiteReport> {
  const passed: string[] = [];
  const failed: FailedCase[] = [];
  const skipped: SkippedCase[] = [];
  for (const { name, skip, run } of suite.cases) {
    if (skip !== undefined) {
      skipped.push({ name, reason: skip });
      continue;
    }
    try {
      await run();
      passed.push(name);
    } catch (error) {
      failed.push({ name, error });
    }
  }
  return { passed, failed, skipped };
}
