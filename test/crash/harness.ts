import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { type Case, listBoundaries, runCase, type Stage, type Verdict } from './case.ts';
import { COMPILED } from './process.ts';
import type { CaseStore } from './case-store.ts';
import { sqliteCases } from './sqlite-cases.ts';
import type { Places } from './sample.ts';
import { prepare, SCENARIOS, scenarioOf } from './scenario.ts';
import type { SiteStorage } from './site-storage.ts';

const CASES_AT_ONCE = 2;

/** Runs cases on what their scenarios begin with: copies of what is made once for each, where the storage allows that. */
export class Harness implements AsyncDisposable, Stage {
  /** Where the application's volumes are. */
  readonly storage: SiteStorage;
  /** Where its jobs are. */
  readonly store: CaseStore;
  readonly #directory: string;
  readonly #prepared = new Map<string, Promise<string>>();

  private constructor(storage: SiteStorage, store: CaseStore, directory: string) {
    this.storage = storage;
    this.store = store;
    this.#directory = directory;
  }

  /** Opens one; it cleans up after itself. */
  static async open(storage: SiteStorage, store: CaseStore = sqliteCases): Promise<Harness> {
    return new Harness(storage, store, await mkdtemp(join(tmpdir(), 'fafnir-crash-')));
  }

  /** The places at which the processes of these scenarios are struck, or of all that the storage has where none is named. */
  async places(names: readonly string[] = []): Promise<Places> {
    const { storage } = this;
    const listed = await pMap(
      names.length > 0 ? names.map(scenarioOf) : SCENARIOS[storage.name],
      async ({ name }) => {
        const places = await listBoundaries(this, name);
        return [name, places.filter((place) => storage.isStruck(place))] as const;
      },
      { concurrency: CASES_AT_ONCE },
    );
    return new Map(listed);
  }

  /** Runs cases, and tells each verdict as it comes. */
  async run(cases: readonly Case[], tell: (verdict: Verdict) => void): Promise<readonly Verdict[]> {
    return await pMap(
      cases,
      async (one) => {
        const verdict = await runCase(this, one);
        tell(verdict);
        return verdict;
      },
      { concurrency: CASES_AT_ONCE },
    );
  }

  /** Makes what a scenario begins with. */
  async begin(scenario: string, directory: string): Promise<void> {
    if (!this.storage.isCopied) return await prepare(scenarioOf(scenario), directory, this);
    const prepared = await this.#prepare(scenario);
    await cp(prepared, directory, { recursive: true });
    await this.store.copy(prepared, directory);
  }

  #prepare(name: string): Promise<string> {
    const known = this.#prepared.get(name);
    if (known !== undefined) return known;
    const made = this.#make(name);
    this.#prepared.set(name, made);
    return made;
  }

  async #make(name: string): Promise<string> {
    const directory = join(this.#directory, name);
    await mkdir(directory);
    await prepare(scenarioOf(name), directory, this);
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#prepared.keys()) await this.store.clear(join(this.#directory, name));
    for (const path of [this.#directory, COMPILED]) await rm(path, { recursive: true, force: true });
  }
}
