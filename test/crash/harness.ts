import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { type Case, listBoundaries, runCase, type Verdict } from './case.ts';
import { COMPILED } from './process.ts';
import type { Places } from './sample.ts';
import { prepare, SCENARIOS, scenarioOf } from './scenario.ts';

const CASES_AT_ONCE = 2;

/** Runs cases on copies of what their scenarios begin with, which is made once for each. */
export class Harness implements AsyncDisposable {
  readonly #directory: string;
  readonly #prepared = new Map<string, Promise<string>>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Opens one; it cleans up after itself. */
  static async open(): Promise<Harness> {
    return new Harness(await mkdtemp(join(tmpdir(), 'fafnir-crash-')));
  }

  /** The places of all scenarios. */
  async places(): Promise<Places> {
    const listed = await pMap(
      SCENARIOS,
      async ({ name }) => [name, await listBoundaries(await this.#begin(name), name)] as const,
      { concurrency: CASES_AT_ONCE },
    );
    return new Map(listed);
  }

  /** Runs cases, and tells each verdict as it comes. */
  async run(cases: readonly Case[], tell: (verdict: Verdict) => void): Promise<readonly Verdict[]> {
    return await pMap(
      cases,
      async (one) => {
        const verdict = await runCase(await this.#begin(one.scenario), one);
        tell(verdict);
        return verdict;
      },
      { concurrency: CASES_AT_ONCE },
    );
  }

  #begin(name: string): Promise<string> {
    const known = this.#prepared.get(name);
    if (known !== undefined) return known;
    const made = this.#make(name);
    this.#prepared.set(name, made);
    return made;
  }

  async #make(name: string): Promise<string> {
    const directory = join(this.#directory, name);
    await mkdir(directory);
    await prepare(scenarioOf(name), directory);
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of [this.#directory, COMPILED]) await rm(path, { recursive: true, force: true });
  }
}
