import { readFileSync, writeFileSync } from 'node:fs';
import { memoryBank } from '../../src/banks/memory.ts';
import { getGraph, putGraph } from '../../src/core/archive/stored-graph.ts';
import { Vault } from '../../src/core/archive/vault.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import { discover } from '../../src/core/graph/discover.ts';
import { parseCheckpointId, parseTenantId } from '../../src/core/identity.ts';
import { memoryKeys } from '../../src/testing/memory-keys.ts';
import { layers, requestFor } from './shapes.ts';

// Measures in a process of its own, started with --expose-gc: node memory.ts built|stored COUNT.

const CALL = { signal: new AbortController().signal };
const [TENANT, CHECKPOINT] = [parseTenantId('bench'), parseCheckpointId('bench')];
const KEYS = memoryKeys();
const MEBIBYTE = 2 ** 20;
const CALLS_BETWEEN_COLLECTIONS = 100;
const CALLS_BETWEEN_LOOKS = 25;

/** What a process of this file prints, as JSON. */
export type MemoryReport = {
  /** The most memory that was needed above what was there before and what was made, in MiB. */
  readonly peak: number;
  /** Resources a second, there and back for a stored graph. */
  readonly rate: number;
};

/** Discovery, above the resources in a plain array, which the in-memory system holds anyway. */
async function measureBuilt(count: number): Promise<MemoryReport> {
  const shape = layers(count, 0);
  let calls = 0;
  const request = requestFor(shape, () => {
    calls += 1;
    if (calls % CALLS_BETWEEN_COLLECTIONS === 0) collect();
  });
  const before = startPeak();
  const start = performance.now();
  const graph = await discover(request, CALL);
  const rate = count / ((performance.now() - start) / 1000);
  assertSize(graph, count);
  return { peak: peakSoFar() - before, rate };
}

/**
 * Storing and reading back. Freed pages stay with the process, so that its size would tell nothing here: what is alive
 * is looked at instead, while it works, above the graph and the objects in the bank.
 */
async function measureStored(count: number): Promise<MemoryReport> {
  const graph = await discover(requestFor(layers(count, 0)), CALL);
  const bank = memoryBank({ name: 'bench' });
  const writing = watched(bank);
  const pointer = await putGraph(vaultOf(writing.bank), CHECKPOINT, graph, CALL);
  const written = writing.end();
  const reading = watched(bank);
  const read = await getGraph(vaultOf(reading.bank), CHECKPOINT, pointer, CALL);
  const readBack = reading.end();
  // Named so late, so that the graph is alive for as long as what it is compared with.
  assertSize(graph, count);
  assertSize(read, count);
  return {
    peak: Math.max(written.peak, readBack.peak),
    rate: count / (written.seconds + readBack.seconds),
  };
}

const vaultOf = (bank: Bank): Vault => new Vault({ bank, tenant: TENANT, keys: KEYS, clock: systemClock });

/** A bank that looks at what is alive every so often; the time for that does not count. */
function watched(bank: Bank): { bank: Bank; end(): { peak: number; seconds: number } } {
  let [calls, highest, lost] = [0, 0, 0];
  const start = performance.now();
  const look = (): number => {
    const began = performance.now();
    collect();
    const alive = used();
    lost += performance.now() - began;
    return alive;
  };
  const watch = (): void => {
    calls += 1;
    if (calls % CALLS_BETWEEN_LOOKS === 0) highest = Math.max(highest, look());
  };
  return {
    bank: {
      contract: bank.contract,
      name: bank.name,
      capabilities: bank.capabilities,
      head: (...args) => bank.head(...args),
      list: (...args) => bank.list(...args),
      remove: (...args) => bank.remove(...args),
      put: async (...args) => {
        watch();
        return bank.put(...args);
      },
      get: async (...args) => {
        watch();
        return bank.get(...args);
      },
    },
    end() {
      const left = look();
      return { peak: Math.max(highest - left, 0), seconds: (performance.now() - start - lost) / 1000 };
    },
  };
}

function assertSize({ resources }: { readonly resources: readonly object[] }, count: number): void {
  if (resources.length !== count) throw new Error(`${resources.length} resources, not ${count}`);
}

/** Collects, forgets earlier peaks, and returns what the process takes now, in MiB. */
function startPeak(): number {
  collect();
  // Linux: the highest resident size begins anew.
  writeFileSync('/proc/self/clear_refs', '5');
  return process.memoryUsage.rss() / MEBIBYTE;
}

function peakSoFar(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function used(): number {
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MEBIBYTE;
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('start this with --expose-gc');
  globalThis.gc();
  globalThis.gc();
}

const [, , what, count] = process.argv;
const report = await (what === 'stored' ? measureStored : measureBuilt)(Number(count));
console.log(JSON.stringify(report));
