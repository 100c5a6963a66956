import { join } from 'node:path';

/** Where things are in the directory of one case. */
export const pathsOf = (
  directory: string,
): Record<
  | 'store'
  | 'bank'
  | 'locks'
  | 'outside'
  | 'copies'
  | 'application'
  | 'destination'
  | 'mirror'
  | 'paused'
  | 'facts',
  string
> => ({
  store: join(directory, 'jobs.db'),
  bank: join(directory, 'bank'),
  locks: join(directory, 'locks'),
  outside: join(directory, 'outside'),
  copies: join(directory, 'copies'),
  application: join(directory, 'a'),
  destination: join(directory, 'b'),
  mirror: join(directory, 'mirror'),
  paused: join(directory, 'paused'),
  facts: join(directory, 'facts.json'),
});
