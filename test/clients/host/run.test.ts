import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { findProgram, INHERITED, runLines } from '../../../src/clients/host/run.ts';

const shell = { name: 'sh', package: 'dash' };
const { signal } = new AbortController();

async function run(script: string, stop: AbortSignal = signal): Promise<string[]> {
  await using file = await open(import.meta.filename);
  const lines: string[] = [];
  for await (const line of runLines(shell, ['-c', script], { signal: stop, inherit: file })) lines.push(line);
  return lines;
}

test('gives lines as they come, the last one also without its end', async () => {
  expect(await run('printf "one\\n\\nthree"')).toEqual(['one', '', 'three']);
  expect((await run(`head -1 ${INHERITED}`))[0]).toMatch(/^import/);
  expect(await run('echo $LC_ALL')).toEqual(['C']);
});

test('a program that fails or dies is an error, whatever it printed before', async () => {
  await expect(run('echo one; echo sorry >&2; exit 3')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'sh ended with 3: sorry',
  });
  await expect(run('echo one; kill -9 $$')).rejects.toMatchObject({
    message: 'sh was ended by SIGKILL: ',
  });
});

test('a line without end is refused', async () => {
  await expect(run('yes | tr -d "\\n"')).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
});

test('the signal ends the program', async () => {
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  const running = run('echo one; exec sleep 1000', controller.signal);
  setTimeout(() => controller.abort(reason), 50);
  await expect(running).rejects.toBe(reason);
});

test('leaving the loop ends the program', async () => {
  await using file = await open(import.meta.filename);
  let child = 0;
  for await (const line of runLines(shell, ['-c', 'echo $$; exec sleep 1000'], { signal, inherit: file })) {
    child = Number(line);
    break;
  }
  expect(() => process.kill(child, 0)).toThrow('ESRCH');
});

test('finds system programs that PATH leaves out, and says when one is not installed', async () => {
  vi.stubEnv('PATH', join(tmpdir(), 'nothing-here'));
  try {
    expect(await findProgram(shell)).toMatch(/^\/(usr\/)?bin\/sh$/);
    await expect(findProgram({ name: 'no-such-program', package: 'none' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'no-such-program is not installed',
      hint: 'Install the package none.',
    });
  } finally {
    vi.unstubAllEnvs();
  }
});
