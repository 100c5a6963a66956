// Runs first in npm scripts, also where Node is far too old: keep the syntax old enough for Node 12 to parse it.
import { readFileSync } from 'node:fs';

const needed = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).engines.node;

function numbers(version) {
  return /(\d+)\.(\d+)\.(\d+)/.exec(version).slice(1).map(Number);
}

function isOlder(version, than) {
  const left = numbers(version);
  const right = numbers(than);
  const at = left.findIndex((number, index) => number !== right[index]);
  return at !== -1 && left[at] < right[at];
}

if (isOlder(process.version, needed)) {
  console.error(
    [
      `This is Node ${process.version} (${process.execPath}), but Node ${needed} is needed.`,
      'A fitting Node is one of the development dependencies. Its install script puts it in place:',
      'run "npm ci" with install scripts allowed (without --ignore-scripts), then this command again.',
    ].join('\n'),
  );
  process.exit(1);
}
