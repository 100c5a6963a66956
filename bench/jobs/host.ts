import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { wrap } from '../../src/banks/wrappers/wrap.ts';
import { type Bank, createEngine, defineProvider, type Engine } from '../../src/index.ts';
import { local } from '../../src/providers/local.ts';
import { postgresStore } from '../../src/stores/postgres.ts';
import { memoryKeys } from '../../src/testing/memory-keys.ts';

/** Where all hosts of a measurement work. */
export interface Place {
  /** Has the application in `a` and the bank in `bank`. */
  readonly directory: string;
  /** The database. */
  readonly url: string;
  /** The schema of the job store. */
  readonly schema: string;
}

/** Of a call of the bank, in milliseconds. */
const LATENCY = 20;
/** So that the jobs of a host that was killed are soon another's. */
const LEASE = 2_000;

/** An engine on the shared store; only one that works runs jobs. */
export function openHost({ directory, url, schema }: Place, worker: boolean): Promise<Engine> {
  const keys = memoryKeys({ name: 'bench', key: new Uint8Array(32).fill(7) });
  const bank = distant(filesystemBank(join(directory, 'bank')));
  const parts = [local({ root: join(directory, 'a') })];
  return createEngine({
    store: postgresStore({ url, schema }),
    providers: [defineProvider({ name: 'gold', site: 'a', parts, banks: [{ bank, keys, role: 'primary' }] })],
    worker,
    leaseMilliseconds: LEASE,
    archive: { workers: 1 },
  });
}

/** A bank as one that is far away. */
function distant(bank: Bank): Bank {
  const later = async <Value>(call: () => Promise<Value>): Promise<Value> => {
    await delay(LATENCY);
    return call();
  };
  return wrap(bank, {
    put: (...given) => later(() => bank.put(...given)),
    get: (...given) => later(() => bank.get(...given)),
    head: (...given) => later(() => bank.head(...given)),
    remove: (...given) => later(() => bank.remove(...given)),
  });
}
