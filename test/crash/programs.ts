import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { basename } from 'node:path';
import type { Boundaries } from './boundaries.ts';

const WORD = /^[a-z]+(-[a-z]+)*$/;

/** From now on, every start of a program by this process is a boundary; its place tells what the program is to do. */
export function crossStarts(program: string, boundaries: Boundaries): void {
  subscribe('child_process', (message) => {
    const { process: child } = message as { readonly process: ChildProcess };
    // The channel tells of it before it is started.
    process.nextTick(() => {
      const { spawnfile, spawnargs } = child;
      if (basename(spawnfile) === program) boundaries.cross(`${program} ${verbOf(spawnargs)}`, 'started');
    });
  });
}

/** The words after the options that say how a service is reached, each of which has a value. */
function verbOf([, ...args]: readonly string[]): string {
  let first = 0;
  while (args[first]?.startsWith('--') === true) first += 2;
  const rest = args.slice(first);
  const end = rest.findIndex((word) => !WORD.test(word));
  return rest.slice(0, end).join(' ');
}
