import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { repository } from './built.ts';

const main = join(repository, 'examples', 'demo', 'main.ts');

/** When a demo is to be killed: some time after it has printed something. */
export interface Moment {
  readonly printed: string;
  readonly milliseconds: number;
}

/** How a demo ended. */
export interface DemoEnd {
  /** Null where it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the demo with small volumes as a process of its own, to its end or to the moment of its death. */
export async function runDemo(directory: string, moment?: Moment): Promise<DemoEnd> {
  const env = { ...process.env, FAFNIR_DEMO_DIRECTORY: directory, FAFNIR_DEMO_VOLUME_MIB: '8' };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  let death: NodeJS.Timeout | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (moment !== undefined && death === undefined && stdout.includes(moment.printed)) {
      death = setTimeout(() => child.kill('SIGKILL'), moment.milliseconds);
    }
  });
  await once(child, 'close');
  clearTimeout(death);
  return { code: child.exitCode, stdout, stderr };
}
