import type { Job, JobProgress } from 'fafnir';
import { keyText, type Node } from './read-application.ts';

const BAR = 30;
const { stdout } = process;
// A terminal is drawn on; what goes to a file gets a line now and then.
const interval = stdout.isTTY ? 100 : 1000;

/** Prints a line. */
export const say = (line: string): void => void stdout.write(`${line}\n`);

/** Bytes for people. */
export function sizeText(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  return mebibytes < 1024 ? `${mebibytes.toFixed(1)} MiB` : `${(mebibytes / 1024).toFixed(2)} GiB`;
}

/** Prints an application as a tree. What more than one depends on is shown whole the first time only. */
export function showTree(nodes: ReadonlyMap<string, Node>): void {
  const shown = new Set<string>();
  const show = (key: string, lead: string, indent: string): void => {
    const node = nodes.get(key);
    if (node === undefined) return;
    const { resource, dependencies } = node;
    const repeated = shown.has(key) ? ' (see above)' : '';
    say(`${lead}${resource.name} [${keyText(resource)}]${repeated}`);
    if (repeated !== '') return;
    shown.add(key);
    for (const [at, dependency] of dependencies.entries()) {
      const last = at === dependencies.length - 1;
      show(dependency, `${indent}${last ? '└─ ' : '├─ '}`, `${indent}${last ? '   ' : '│  '}`);
    }
  };
  // Whatever is shown below another is no root, for dependencies come after their dependants.
  for (const key of nodes.keys()) if (!shown.has(key)) show(key, '  ', '  ');
}

/** Shows a job's progress to its end, and returns its result. */
export async function follow<Result>(what: string, job: Job<Result>): Promise<Result> {
  const started = performance.now();
  let last = started;
  let progress: JobProgress | undefined;
  for await (const event of job.events()) {
    if (event.type !== 'job.progress') continue;
    ({ progress } = event);
    if (performance.now() - last < interval) continue;
    last = performance.now();
    const line = progressText(what, progress, last - started);
    stdout.write(stdout.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
  }
  if (stdout.isTTY) stdout.write('\r\u001b[K');
  const result = await job.result();
  if (progress !== undefined) say(progressText(what, progress, performance.now() - started));
  return result;
}

function progressText(what: string, { bytes, items }: JobProgress, milliseconds: number): string {
  const share = bytes.total === 0 ? 1 : bytes.done / bytes.total;
  const filled = Math.round(share * BAR);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  const speed = `${sizeText((bytes.done / milliseconds) * 1000)}/s`;
  return `  ${what} ${bar} ${percent} %  ${sizeText(bytes.done)}  ${speed}  ${items.done} of ${items.total}`;
}
