import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { type Case, listBoundaries, runCase, type Stage, type Verdict } from './case.ts';
import { COMPILED } from './process.ts';
import type { Places } from './sample.ts';
import { scenarioOf } from './scenario.ts';
import type { Site } from './site.ts';

/** Runs cases on what their scenarios begin with: copies of what is made once for each, where the site allows that. */
export class Harness implements AsyncDisposable, Stage {
  /** The application. */
  readonly site: Site;
  readonly #directory: string;
  readonly #prepared = new Map<string, Promise<string>>();

  private constructor(site: Site, directory: string) {
    this.site = site;
    this.#directory = directory;
  }

  /** Opens one; it cleans up after itself. */
  static async open(site: Site): Promise<Harness> {
    return new Harness(site, await mkdtemp(join(tmpdir(), 'fafnir-crash-')));
  }

  /** The places at which the processes of these scenarios are struck, or of all that the site has where none is named. */
  async places(names: readonly string[] = []): Promise<Places> {
    const { site } = this;
    const listed = await pMap(
      names.length > 0 ? names.map(scenarioOf) : site.scenarios,
      async ({ name }) => {
        const places = await listBoundaries(this, name);
        return [name, places.filter((place) => site.isStruck(place))] as const;
      },
      { concurrency: site.casesAtOnce },
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
      { concurrency: this.site.casesAtOnce },
    );
  }

  /** Makes what a scenario begins with. */
  async begin(scenario: string, directory: string): Promise<void> {
    const { site } = this;
    if (!site.isCopied) return await site.prepare(scenarioOf(scenario), directory);
    const prepared = await this.#prepare(scenario);
    await cp(prepared, directory, { recursive: true });
    await site.jobs.copy(prepared, directory);
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
    await this.site.prepare(scenarioOf(name), directory);
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#prepared.keys()) await this.site.jobs.clear(join(this.#directory, name));
    await this.site[Symbol.asyncDispose]();
    for (const path of [this.#directory, COMPILED]) await rm(path, { recursive: true, force: true });
  }
}
