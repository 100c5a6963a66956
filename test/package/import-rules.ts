import type { Import, Module } from './imports.ts';

/** A made-up line that breaks a rule. */
export interface Offence {
  readonly file: string;
  readonly line: string;
}

/** What the files of one room may import from the repository. */
export interface Room {
  readonly files: RegExp;
  /** May be imported. */
  readonly may: readonly RegExp[];
  /** May be imported as types. */
  readonly types?: readonly RegExp[];
  /** Packages and Node's own modules are judged like the repository's files. */
  readonly closed?: true;
  readonly reason: string;
  readonly offence: Offence;
}

/** A target that only some files may import. */
export interface Reserved {
  readonly target: RegExp;
  readonly only: readonly RegExp[];
  readonly reason: string;
  readonly offence: Offence;
}

/** A broken rule. */
export interface Violation {
  readonly file: string;
  readonly specifier: string;
  readonly reason: string;
}

const contracts = /^src\/core\/contracts\//;
const shared = /^src\/core\/[^/]+$/;
const core = /^src\/core\//;
const graph = /^src\/core\/graph\//;
const jobs = /^src\/core\/jobs\//;
const archive = /^src\/core\/archive\//;
const policy = /^src\/core\/policy\//;
const operations = /^src\/core\/operations\//;
const engine = /^src\/core\/engine\//;
const clients = /^src\/clients\//;
const resources = /^src\/resources\//;
const arrays = /^src\/arrays\//;
const banks = /^src\/banks\//;
const keys = /^src\/keys\//;
const stores = /^src\/stores\//;
const dispatchers = /^src\/dispatchers\//;
const strategies = /^src\/strategies\//;
const providers = /^src\/providers\//;
const testing = /^src\/testing\//;
const http = /^src\/http\//;
const cli = /^src\/cli\//;
const face = /^src\/(index|audit|pictures)\.ts$/;
const worker = /^src\/worker\.ts$/;

const PLUGINS = 'plugins see contracts, shared files of core and clients, so that each can be left out alone';
const ROOMS_OF_CORE = 'rooms of core meet in operations and engine only';

/** Who may import what: one row a room. A file that fits no row has no place in the house. */
export const ROOMS: readonly Room[] = [
  {
    files: contracts,
    may: [],
    types: [contracts, /^src\/core\/errors\.ts$/, /^npm:@standard-schema\/spec$/],
    closed: true,
    reason: 'contracts are types and stand on nothing else',
    offence: { file: 'src/core/contracts/a.ts', line: `import { FafnirError } from '../errors.ts'` },
  },
  {
    files: shared,
    may: [contracts, shared],
    reason: 'what every room shares can stand on no room',
    offence: { file: 'src/core/a.ts', line: `import { a } from './jobs/a.ts'` },
  },
  {
    files: graph,
    may: [graph, contracts, shared],
    reason: ROOMS_OF_CORE,
    offence: { file: 'src/core/graph/a.ts', line: `import { a } from '../jobs/a.ts'` },
  },
  {
    files: policy,
    may: [policy, contracts, shared],
    reason: ROOMS_OF_CORE,
    offence: { file: 'src/core/policy/a.ts', line: `import type { A } from '../archive/a.ts'` },
  },
  {
    files: jobs,
    may: [jobs, policy, contracts, shared],
    reason: ROOMS_OF_CORE,
    offence: { file: 'src/core/jobs/a.ts', line: `export { a } from '../graph/a.ts'` },
  },
  {
    files: archive,
    may: [archive, policy, contracts, shared],
    reason: ROOMS_OF_CORE,
    offence: { file: 'src/core/archive/a.ts', line: `import { a } from '../jobs/a.ts'` },
  },
  {
    files: operations,
    may: [operations, graph, jobs, archive, policy, contracts, shared],
    reason: 'operations use the other rooms, and engine uses operations',
    offence: { file: 'src/core/operations/a.ts', line: `import { a } from '../engine/a.ts'` },
  },
  {
    files: engine,
    may: [core],
    reason: 'core knows no plugin by name',
    offence: { file: 'src/core/engine/a.ts', line: `const a = await import('../../banks/memory.ts')` },
  },
  {
    files: clients,
    may: [clients, shared],
    types: [contracts],
    reason: 'clients are wire and child processes and nothing else',
    offence: { file: 'src/clients/a/a.ts', line: `import { a } from '../../arrays/a.ts'` },
  },
  {
    files: resources,
    may: [resources, contracts, shared, clients],
    reason: PLUGINS,
    offence: { file: 'src/resources/a/a.ts', line: `import { a } from '../../arrays/a.ts'` },
  },
  {
    files: arrays,
    may: [arrays, contracts, shared, clients],
    reason: PLUGINS,
    offence: { file: 'src/arrays/a.ts', line: `import { a } from '../banks/a.ts'` },
  },
  {
    files: banks,
    may: [banks, contracts, shared, clients],
    reason: PLUGINS,
    offence: { file: 'src/banks/a.ts', line: `import { a } from '../core/archive/a.ts'` },
  },
  {
    files: keys,
    may: [keys, contracts, shared],
    reason: 'key providers see contracts and shared files of core, so that little code is near the keys',
    offence: { file: 'src/keys/a.ts', line: `import { a } from '../banks/a.ts'` },
  },
  {
    files: worker,
    may: [archive],
    reason: 'worker threads do the work of archives and nothing else',
    offence: { file: 'src/worker.ts', line: `import { a } from './core/operations/a.ts'` },
  },
  {
    files: stores,
    may: [stores, contracts, shared, clients],
    reason: PLUGINS,
    offence: { file: 'src/stores/a.ts', line: `import { a } from '../core/jobs/a.ts'` },
  },
  {
    files: dispatchers,
    may: [dispatchers, contracts, shared, clients],
    reason: PLUGINS,
    offence: { file: 'src/dispatchers/a.ts', line: `import { a } from '../stores/a.ts'` },
  },
  {
    files: strategies,
    may: [strategies, contracts, shared, clients],
    reason: PLUGINS,
    offence: { file: 'src/strategies/a.ts', line: `import { a } from '../stores/a.ts'` },
  },
  {
    files: providers,
    may: [providers, contracts, shared, clients, arrays, resources, banks, stores, strategies],
    reason: 'providers join plugins and know no room of core',
    offence: { file: 'src/providers/a.ts', line: `import { a } from '../core/operations/a.ts'` },
  },
  {
    files: testing,
    may: [testing, core],
    reason: 'published suites judge any plugin, so they know none',
    offence: { file: 'src/testing/a.ts', line: `import { a } from '../banks/memory.ts'` },
  },
  {
    files: http,
    may: [http, face],
    reason: 'the HTTP face is a host like any other and uses the public face',
    offence: { file: 'src/http/a.ts', line: `import { a } from '../core/engine/a.ts'` },
  },
  {
    files: cli,
    may: [cli, /^fafnir(\/|$)/],
    reason: 'the command line is a host like any other and uses public subpaths',
    offence: { file: 'src/cli/a.ts', line: `const a = await import('../core/archive/a.ts')` },
  },
  {
    files: face,
    may: [core],
    reason: 'no vendor code is reachable from the public face',
    offence: { file: 'src/index.ts', line: `export { memoryBank } from './banks/memory.ts'` },
  },
];

/** What only some rooms may import. */
export const RESERVED: readonly Reserved[] = [
  {
    target: face,
    only: [http],
    reason: 'the public face is for hosts; inside it would close a circle',
    offence: { file: 'src/core/engine/a.ts', line: `import { a } from '../../index.ts'` },
  },
  {
    target: /^(node:child_process|npm:undici)$/,
    only: [clients, banks],
    reason: 'wire and child processes belong to clients and banks',
    offence: { file: 'src/arrays/a.ts', line: `import { spawn } from 'child_process'` },
  },
];

/** What the one-folder rule does not count: a schema library without effects, and types. */
const EVERYWHERE = ['npm:zod', 'npm:@standard-schema/spec'];

/** Every rule that the modules break. */
export function violations(modules: readonly Module[]): readonly Violation[] {
  const imports = modules.flatMap((module) => module.imports);
  return [
    ...modules.flatMap(placeViolations),
    ...modules.flatMap(defaultExportViolations),
    ...imports.flatMap(roomViolations),
    ...imports.flatMap(reservedViolations),
    ...spreadViolations(imports),
  ];
}

function placeViolations({ file }: Module): readonly Violation[] {
  if (ROOMS.some((room) => room.files.test(file))) return [];
  return [{ file, specifier: '', reason: 'its folder is no room of the house' }];
}

function defaultExportViolations({ file, hasDefaultExport }: Module): readonly Violation[] {
  return hasDefaultExport
    ? [{ file, specifier: '', reason: 'a default export has no name to search for' }]
    : [];
}

function roomViolations({ file, specifier, target, typesOnly }: Import): readonly Violation[] {
  const judged = (room: Room): boolean => room.closed === true || !/^(node|npm):/.test(target);
  return ROOMS.filter((room) => room.files.test(file) && judged(room))
    .filter(
      (room) => ![...room.may, ...(typesOnly ? (room.types ?? []) : [])].some((may) => may.test(target)),
    )
    .map(({ reason }) => ({ file, specifier, reason }));
}

function reservedViolations({ file, specifier, target }: Import): readonly Violation[] {
  return RESERVED.filter(
    (rule) => rule.target.test(target) && !rule.only.some((only) => only.test(file)),
  ).map(({ reason }) => ({ file, specifier, reason }));
}

function spreadViolations(imports: readonly Import[]): readonly Violation[] {
  const homes = new Map<string, string>();
  return imports.flatMap(({ file, specifier, target }) => {
    if (!target.startsWith('npm:') || EVERYWHERE.includes(target)) return [];
    const folder = file.split('/').slice(0, 2).join('/');
    const home = homes.get(target) ?? folder;
    homes.set(target, home);
    return home === folder
      ? []
      : [{ file, specifier, reason: `a package is imported in one folder; this one is at home in ${home}` }];
  });
}
