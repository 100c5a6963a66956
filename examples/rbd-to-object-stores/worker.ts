// A process that runs until it is told to end: it runs what others ask for, in whatever process they are.
import { startEngine } from './engine.ts';

const told = Promise.race(
  ['SIGTERM', 'SIGINT'].map((signal) => new Promise((resolve) => process.once(signal, resolve))),
);
const engine = await startEngine({ worker: true });
engine.on('job.started', ({ operation }) => console.log(`worker: ${operation} has begun`));
engine.on('job.ended', ({ outcome }) => console.log(`worker: ${outcome.state}`));
engine.on('worker.failed', ({ error }) => console.error(`worker: ${error.message}`));
await told;
// What it has begun it ends; what is still waiting stays for the next worker.
await engine.close({ drain: true });
