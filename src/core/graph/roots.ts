import type { CallOptions, Protectable, Resource, ResourceRule } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { mapSettled } from '../map-settled.ts';
import { checkOwn, discoveryFailed } from './answers.ts';
import { matcherOf } from './selection.ts';

const SHOWN_RULE = 200;

/**
 * Hands over every resource that a rule chooses, by listing the types it speaks of. A rule that chooses nothing is
 * `NOT_FOUND`.
 */
export async function listRoots(
  rules: readonly ResourceRule[],
  protectables: ReadonlyMap<string, Protectable>,
  take: (resource: Resource) => void,
  options: CallOptions & { readonly concurrency: number },
): Promise<void> {
  const wanted = rules.map((rule) => ({ rule, matches: matcherOf(rule), found: false }));
  await mapSettled(
    pluginsFor(rules, protectables),
    async (protectable, _at, signal) => {
      for await (const resource of listing(protectable, signal)) {
        signal.throwIfAborted();
        checkOwn(resource, protectable.type);
        const matching = wanted.filter(({ matches }) => matches(resource));
        for (const one of matching) one.found = true;
        if (matching.length > 0) take(resource);
      }
    },
    options,
  );
  const unused = wanted.find(({ found }) => !found);
  if (unused === undefined) return;
  const shown = JSON.stringify(unused.rule).slice(0, SHOWN_RULE);
  throw new FafnirError('NOT_FOUND', `no resource matches the rule ${shown}`, {
    hint: 'Check the conditions of the rule against the names, tags and attributes that the system lists.',
  });
}

function pluginsFor(
  rules: readonly ResourceRule[],
  protectables: ReadonlyMap<string, Protectable>,
): readonly Protectable[] {
  const plugins = new Set<Protectable>();
  for (const { type } of rules) {
    if (type === undefined) {
      for (const protectable of protectables.values()) plugins.add(protectable);
    } else {
      const protectable = protectables.get(type);
      if (protectable === undefined) throw new FafnirError('UNKNOWN_TYPE', `no plugin protects ${type}`);
      plugins.add(protectable);
    }
  }
  return [...plugins];
}

async function* listing(protectable: Protectable, signal: AbortSignal): AsyncGenerator<Resource> {
  try {
    yield* protectable.list({ signal });
  } catch (error) {
    throw discoveryFailed(`${protectable.type} could not be listed`, error);
  }
}
