#!/usr/bin/env node
import { parseArgs } from 'node:util';

const USAGE = `usage: fafnir worker CONFIGURATION

Runs jobs until SIGTERM or SIGINT, then ends those that it has begun. A second signal puts them down for another worker.
CONFIGURATION is a module that exports \`options\`: what createEngine takes, or a function that makes it.`;

const { positionals } = parseArgs({ allowPositionals: true });
const [command, configuration, ...others] = positionals;
if (command === 'worker' && configuration !== undefined && others.length === 0) {
  const { runWorker } = await import('./worker.ts');
  process.exitCode = await runWorker(configuration);
} else {
  console.error(USAGE);
  process.exitCode = 2;
}
