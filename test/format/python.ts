import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const INTERPRETER = '/usr/bin/python3';
const PACKAGES = 'python3-cryptography python3-zstandard';

/** Runs the interpreter in this folder; rejects where it does not end with 0. */
export async function runPython(...parts: readonly string[]): Promise<string> {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout } = await promisify(execFile)(INTERPRETER, [...parts], { cwd: import.meta.dirname, env });
  return stdout;
}

/** Why the programs in Python cannot run here and how they could, or undefined where they can. */
export const pythonSkipped: string | undefined = await runPython('-c', 'import cryptography, zstandard').then(
  () => undefined,
  () => `${INTERPRETER} lacks its modules; run \`apt-get install ${PACKAGES}\` as root`,
);
