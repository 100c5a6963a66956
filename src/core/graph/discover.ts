import type {
  CallOptions,
  DeclaredDependency,
  Dependencies,
  ErrorRecord,
  Protectable,
  Resource,
  ResourceKey,
  ResourceSelector,
} from '../contracts/index.ts';
import { briefRecord, FafnirError } from '../errors.ts';
import { asked, checkDependencies, checkFound, discoveryFailed, wrongAnswer } from './answers.ts';
import { GraphBuilder } from './graph-builder.ts';
import { compareKeys, describeKey, type ResourceGraph } from './resource-graph.ts';
import { listRoots } from './roots.ts';
import { anyMatcherOf, isKey } from './selection.ts';

const BATCH = 1_000;
const CALLS_AT_ONCE = 8;
// Stands for the number of a resource that has none.
const EXCLUDED = -1;

/** Where discovery begins, whom it asks, and what it leaves out. */
export interface DiscoverRequest {
  /** What to begin with; each key must exist, and each rule choose something. */
  readonly roots: readonly ResourceSelector[];
  /** The plugins by type. */
  readonly protectables: ReadonlyMap<string, Protectable>;
  /** Dependencies that no plugin can see. What is declared to depend on something excluded does not. */
  readonly dependencies?: readonly DeclaredDependency[];
  /** What stays out, with all that only it depends on; also where it was chosen as a root. */
  readonly exclude?: readonly ResourceSelector[];
  /**
   * What becomes of a resource whose dependencies cannot be read. `refuse`, the default: the discovery fails. `allow`:
   * it stays in the graph and is named in `incomplete`; what it depends on may be missing.
   */
  readonly incomplete?: 'refuse' | 'allow';
}

/**
 * The graph of the roots and all they depend on. A listing that fails fails the discovery with
 * `DISCOVERY_FAILED`, unless the request allows for that: an error is never taken for "depends on nothing". Rejects
 * only when no call is under way any more.
 */
export async function discover(request: DiscoverRequest, call: CallOptions): Promise<ResourceGraph> {
  call.signal.throwIfAborted();
  return new Discovery(request, call.signal).run();
}

/** What is still to be asked of one plugin. */
interface Questions {
  readonly protectable: Protectable;
  /** Ids to look up, each with the numbers of those that depend on it. */
  readonly sought: Map<string, number[]>;
  /** Numbers of resources whose dependencies are to be read. */
  readonly unread: number[];
  callsUnderWay: number;
}

class Discovery {
  readonly #request: DiscoverRequest;
  readonly #builder = new GraphBuilder();
  readonly #questions = new Map<string, Questions>();
  readonly #declared = new Map<string, Map<string, ResourceKey[]>>();
  readonly #isExcluded: ((resource: Resource) => boolean) | undefined;
  readonly #excluded = new Map<string, ResourceKey>();
  readonly #incomplete = new Map<number, ErrorRecord>();
  readonly #failure = new AbortController();
  readonly #signal: AbortSignal;
  #callsUnderWay = 0;
  #callEnded = Promise.withResolvers<void>();

  constructor(request: DiscoverRequest, signal: AbortSignal) {
    this.#request = request;
    this.#signal = AbortSignal.any([signal, this.#failure.signal]);
    if (request.exclude !== undefined) this.#isExcluded = anyMatcherOf(request.exclude);
    for (const { from, to } of request.dependencies ?? []) {
      const ofType = this.#declared.get(from.type) ?? new Map<string, ResourceKey[]>();
      this.#declared.set(from.type, ofType);
      const targets = ofType.get(from.id);
      if (targets === undefined) ofType.set(from.id, [to]);
      else targets.push(to);
    }
  }

  async run(): Promise<ResourceGraph> {
    const { roots, protectables } = this.#request;
    const rules = roots.flatMap((root) => (isKey(root) ? [] : [root]));
    const take = (resource: Resource): number => this.#meet(resource);
    await listRoots(rules, protectables, take, { concurrency: CALLS_AT_ONCE, signal: this.#signal });
    for (const root of roots) if (isKey(root)) this.#seek(root);
    for (;;) {
      if (!this.#signal.aborted) this.#startCalls();
      if (this.#callsUnderWay === 0) break;
      await this.#callEnded.promise;
      this.#callEnded = Promise.withResolvers();
    }
    // The reason of a failure is its error.
    this.#signal.throwIfAborted();
    if (this.#builder.size === 0 && this.#excluded.size > 0) {
      throw new FafnirError('INVALID_OPTIONS', 'all that was chosen is excluded');
    }
    return this.#toGraph();
  }

  #toGraph(): ResourceGraph {
    const incomplete = Array.from(this.#incomplete, ([number, error]) => {
      const { type = '', id = '' } = this.#builder.resource(number) ?? {};
      return { resource: { type, id }, error };
    });
    return this.#builder.build({
      excluded: [...this.#excluded.values()].sort(compareKeys),
      incomplete: incomplete.sort((a, b) => compareKeys(a.resource, b.resource)),
    });
  }

  // Full batches go out at once. Less than that only waits for a call to the same plugin, whose answer may add to it.
  #startCalls(): void {
    for (const questions of this.#questions.values()) {
      const isDue = (waiting: number): boolean =>
        this.#callsUnderWay < CALLS_AT_ONCE &&
        (waiting >= BATCH || (waiting > 0 && questions.callsUnderWay === 0));
      while (isDue(questions.sought.size)) this.#start(questions, this.#lookUp(questions));
      while (isDue(questions.unread.length)) this.#start(questions, this.#readDependencies(questions));
    }
  }

  #start(questions: Questions, running: Promise<void>): void {
    const ended = (): void => {
      questions.callsUnderWay -= 1;
      this.#callsUnderWay -= 1;
      this.#callEnded.resolve();
    };
    questions.callsUnderWay += 1;
    this.#callsUnderWay += 1;
    running
      .catch((error: unknown) => {
        this.#failure.abort(error);
      })
      .then(ended);
  }

  async #lookUp({ protectable, sought }: Questions): Promise<void> {
    const batch = new Map<string, readonly number[]>();
    for (const [id, dependants] of sought) {
      if (batch.size === BATCH) break;
      batch.set(id, dependants);
      sought.delete(id);
    }
    const found = await asked(`${protectable.type} could not be looked up`, () =>
      protectable.find([...batch.keys()], { signal: this.#signal }),
    );
    checkFound(found, protectable);
    for (const resource of found) {
      const dependants = batch.get(resource.id);
      if (dependants === undefined) continue;
      batch.delete(resource.id);
      const number = this.#meet(resource);
      if (number !== EXCLUDED) for (const dependant of dependants) this.#builder.connect(dependant, number);
    }
    const [missing] = batch.keys();
    if (missing === undefined) return;
    const key = describeKey({ type: protectable.type, id: missing });
    throw new FafnirError('NOT_FOUND', `no such resource: ${key}`);
  }

  async #readDependencies({ protectable, unread }: Questions): Promise<void> {
    const numbers = unread.splice(-BATCH);
    const batch = numbers.flatMap((number) => this.#builder.resource(number) ?? []);
    let answer: Dependencies;
    try {
      answer = await protectable.dependencies(batch, { signal: this.#signal });
    } catch (error) {
      const what = `the dependencies of ${protectable.type} could not be read`;
      for (const number of numbers) this.#leaveIncomplete(number, what, error);
      return;
    }
    checkDependencies(answer, protectable);
    for (const { at, error } of answer.failures) {
      const [number, resource] = [numbers[at], batch[at]];
      if (number === undefined || resource === undefined) {
        throw wrongAnswer(protectable.type, 'a failure is of nothing in the batch');
      }
      const what = `the dependencies of ${describeKey(resource)} could not be read`;
      this.#leaveIncomplete(number, what, error);
    }
    const targets = answer.resources.map((resource) => this.#meet(resource));
    if (!this.#builder.connectAll(numbers, targets, answer.edges)) {
      throw wrongAnswer(protectable.type, 'an edge points nowhere');
    }
  }

  #leaveIncomplete(number: number, what: string, error: unknown): void {
    if (this.#request.incomplete !== 'allow') throw discoveryFailed(what, error);
    const reason = FafnirError.from(error, 'DISCOVERY_FAILED', 'its dependencies could not be read');
    this.#incomplete.set(number, briefRecord(reason));
  }

  /** The number of a resource that an answer brought; what is new is asked about in turn. */
  #meet(resource: Resource): number {
    if (this.#excludes(resource)) return EXCLUDED;
    const next = this.#builder.size;
    const number = this.#builder.add(resource);
    if (number < next) return number;
    this.#questionsFor(resource).unread.push(number);
    for (const target of this.#declared.get(resource.type)?.get(resource.id) ?? [])
      this.#seek(target, number);
    return number;
  }

  // Whoever is in the graph stays, should a later answer show it with other tags.
  #excludes(resource: Resource): boolean {
    if (this.#isExcluded === undefined || this.#builder.find(resource) !== -1) return false;
    const key = describeKey(resource);
    if (this.#excluded.has(key)) return true;
    if (!this.#isExcluded(resource)) return false;
    this.#excluded.set(key, { type: resource.type, id: resource.id });
    return true;
  }

  #seek(key: ResourceKey, dependant?: number): void {
    const number = this.#builder.find(key);
    if (number !== -1) {
      if (dependant !== undefined) this.#builder.connect(dependant, number);
      return;
    }
    const { sought } = this.#questionsFor(key);
    const dependants = sought.get(key.id) ?? [];
    if (dependant !== undefined) dependants.push(dependant);
    sought.set(key.id, dependants);
  }

  #questionsFor(key: ResourceKey): Questions {
    const known = this.#questions.get(key.type);
    if (known !== undefined) return known;
    const protectable = this.#request.protectables.get(key.type);
    if (protectable === undefined) {
      throw new FafnirError('UNKNOWN_TYPE', `no plugin protects ${describeKey(key)}`);
    }
    const questions = { protectable, sought: new Map(), unread: [], callsUnderWay: 0 };
    this.#questions.set(key.type, questions);
    return questions;
  }
}
