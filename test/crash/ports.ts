import {
  type Bank,
  type ExternalCopies,
  FafnirError,
  type JobStore,
  type Protectable,
  type StepRow,
  type StorageArray,
} from '../../src/index.ts';
import type { Boundaries } from './boundaries.ts';
import type { Ledger } from './ledger.ts';
import { say } from './messages.ts';

/** What stands between an engine and its plugins. */
export interface Gate {
  /** Counts the calls. */
  readonly boundaries: Boundaries;
  /** Takes the effects down. */
  readonly ledger: Ledger;
}

type Arguments = readonly unknown[];
type Method = (...args: Arguments) => unknown;
/** Says what a method with these arguments is called, and names the effect where it has one. */
type Describe = (method: string, args: Arguments) => { label: string; effect?: string };

const forever: AbortSignal = new AbortController().signal;

/** The claims of a worker that only looks whether there is work: they come by the clock. */
export const IDLE_CLAIM = 'store.claim any';
/** Comes by the clock too. */
export const HEARTBEAT = 'store.heartbeat';

/** Of a scheduler that only looks whether a tick is due: it comes by the clock too. */
export const LOOK = 'store.schedules.earliest';

/** A job store whose every call crosses two boundaries; its labels tell what is added to a journal. */
export function portedStore(store: JobStore, gate: Gate): JobStore {
  return ported(store, gate, (method, args) => {
    if (method === 'claim')
      return { label: (args as [{ job?: string }])[0].job ? 'store.claim' : IDLE_CLAIM };
    const [row] = method === 'append' ? (args as [unknown, StepRow[]])[1] : [];
    return { label: `store.${method}${row ? ` ${row.kind} ${row.step.split('/')[0]}` : ''}` };
  });
}

/** The same for a bank; its labels tell the kind of object, which is the second part of a key. */
export function portedBank(bank: Bank, gate: Gate): Bank {
  return ported(bank, gate, (method, args) => {
    const key = [args[0]].flat()[0];
    return { label: `bank.${method} ${String(key).split('/')[1]}` };
  });
}

/** The same for an array, its role as a target, and the volumes that it opens. */
export function portedArray(array: StorageArray, site: string, gate: Gate): StorageArray {
  return ported(array, gate, (method, args) => {
    const label = `${site}.array.${method}`;
    const [first, second] = args as [{ name: string; volume: { id: string } }, string];
    if (method === 'snapshot') return { label, effect: second };
    if (method === 'remove') return { label, effect: `${first.name} of ${first.volume.id}` };
    if (method === 'target.create') return { label, effect: first.name };
    if (method === 'endReading') return { label, effect: String(args[0]) };
    return { label };
  });
}

/** The same for a Protectable. */
export function portedProtectable(protectable: Protectable, site: string, gate: Gate): Protectable {
  return ported(protectable, gate, (method, args) => {
    const label = `${site}.${protectable.type}.${method}`;
    const named = { create: args[1], remove: args[0], 'quiescing.quiesce': args[1] }[method];
    const request = named as { readonly token: string } | undefined;
    return { label, ...(request && { effect: request.token }) };
  });
}

/** The same for a service that keeps copies. */
export function portedCopies(store: ExternalCopies, gate: Gate): ExternalCopies {
  return ported(store, gate, (method, args) => {
    const [first, second] = args as [{ reference?: { token?: string } } | string, string];
    const token = typeof first === 'string' ? first : first.reference?.token;
    const effect = { create: second, remove: token, removeMade: token }[method];
    return { label: `${store.name}.${method}`, ...(effect !== undefined && { effect }) };
  });
}

/** Places before calls that change something outside of the job store. */
export const BEFORE_EFFECT: RegExp =
  /(\.(snapshot|create|clone|revert|remove|removeMade|endReading|connect|write|zero|quiesce|unquiesce)|bank\.(put|remove|extend) \w+) before(#\d+)?$/;

/** What a plugin hands out as a plugin of its own: roles, and opened volumes. */
const ROLES = ['plans', 'quotas', 'schedules', 'templates', 'target', 'quiescing'];
const OPENING = ['open', 'target.openForWrite'];
/** What answers with an iteration. */
const ITERATING = /(^|\.)(list|tenants|ticks|pauses|extents|blocks)$/;

function ported<Plugin extends object>(plugin: Plugin, gate: Gate, describe: Describe, role = ''): Plugin {
  const member = (key: string | symbol): unknown => {
    const value: unknown = Reflect.get(plugin, key, plugin);
    const name = `${role}${String(key)}`;
    if (ROLES.includes(name) && typeof value === 'object' && value !== null) {
      return ported<object>(value, gate, describe, `${name}.`);
    }
    if (typeof value !== 'function') return value;
    const method: Method = (...args) => Reflect.apply(value, plugin, args);
    if (typeof key === 'symbol') return method;
    if (ITERATING.test(name)) {
      return (...args: Arguments) => listThrough(gate, describe(name, args), method, args);
    }
    return async (...args: Arguments) => {
      const result = await callThrough(gate, describe(name, args), method, args);
      const opened = OPENING.includes(name) && typeof result === 'object' && result !== null;
      return opened ? ported<object>(result, gate, describe, `${name}.`) : result;
    };
  };
  // Not a proxy of the plugin itself: what is frozen may not be answered for by anybody else.
  return new Proxy({} as Plugin, { get: (_, key) => member(key), has: (_, key) => key in plugin });
}

async function callThrough(
  { boundaries, ledger }: Gate,
  { label, effect }: ReturnType<Describe>,
  method: Method,
  args: Arguments,
): Promise<unknown> {
  const isLate = boundaries.cross(label, 'before');
  const run = async (): Promise<unknown> => method(...(isLate ? args.map(onItsWay) : args));
  try {
    return await (effect === undefined ? run() : ledger.around(label, effect, run));
  } catch (error) {
    if (FafnirError.is(error, 'FENCED')) say({ type: 'fenced', call: label });
    throw error;
  } finally {
    boundaries.cross(label, 'after');
  }
}

async function* listThrough(
  { boundaries }: Gate,
  { label }: ReturnType<Describe>,
  method: Method,
  args: Arguments,
): AsyncGenerator<unknown> {
  boundaries.cross(label, 'before');
  try {
    yield* method(...args) as AsyncIterable<unknown>;
  } finally {
    boundaries.cross(label, 'after');
  }
}

// A request that was on its way when its worker stopped arrives all the same: nothing that the worker learns can call
// it back.
function onItsWay(argument: unknown): unknown {
  const cancellable = typeof argument === 'object' && argument !== null && 'signal' in argument;
  return cancellable ? { ...argument, signal: forever } : argument;
}
