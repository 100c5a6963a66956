import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RbdClient } from '../../../src/clients/rbd/client.ts';
import { feedRbd, rbdBytes, runRbd } from '../../../src/clients/rbd/run.ts';

const call = { signal: new AbortController().signal };
const run = { what: 'cannot try', timeout: 30_000, ...call };
const access = { pool: 'pool' };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-rbd-'));
  vi.stubEnv('PATH', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Puts a shell script in the place of `rbd`. */
async function playRbd(script: string): Promise<void> {
  await writeFile(join(folder, 'rbd'), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, 'rbd'), 0o755);
}

async function isRunning(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid.trim()}/stat`, 'utf8').catch(() => '');
  return status !== '' && !/\) [ZX] /.test(status);
}

describe('a run of rbd', () => {
  test('says how the cluster is reached, and sees nothing of the host', async () => {
    vi.stubEnv('CEPH_ARGS', '--id root');
    await playRbd('echo "$@"; env');
    const all = { ...access, user: 'backup', monitors: ['a:1', 'b:2'], keyring: '/k' };
    const [parameters, ...environment] = (await runRbd(all, ['ls', 'pool'], run)).trim().split('\n');
    expect(parameters).toBe('--conf /dev/null --mon-host a:1,b:2 --id backup --keyring /k ls pool');
    expect(environment).toContain('TZ=UTC');
    expect(environment.join()).not.toContain('CEPH_ARGS');
    const own = await runRbd({ ...all, conf: '/c' }, ['ls'], run);
    expect(own).toContain('--conf /c --mon-host');
    expect(await runRbd(access, ['ls'], run)).toMatch(/^ls\n/);
  });

  test.each([
    [1, 'ACCESS_DENIED', false],
    [2, 'NOT_FOUND', false],
    [13, 'ACCESS_DENIED', false],
    [16, 'BUSY', true],
    [17, 'ALREADY_EXISTS', false],
    [28, 'NO_SPACE', true],
    [39, 'BUSY', false],
    [95, 'UNSUPPORTED', false],
    [110, 'UNAVAILABLE', true],
    [122, 'NO_SPACE', true],
  ])('that ends with %i is %s', async (code, expected, retryable) => {
    await playRbd(`printf 'Doing it: 0%% complete...failed.\\nrbd: said why\\n' >&2; exit ${code}`);
    await expect(runRbd(access, [], run)).rejects.toMatchObject({
      code: expected,
      retryable,
      message: 'cannot try: rbd: said why',
    });
  });

  test.each([
    ["rbd: error opening pool 'x': (2) No such file", 2],
    ['global_init: unable to open config file from search list /x', 1],
    ['2026-11-22T01:10:25.465+0000 7fd4 -1 auth: unable to find a keyring on /x: (2) No such file', 1],
  ])('that says %s is INVALID_OPTIONS', async (said, code) => {
    await playRbd(`echo "${said}" >&2; exit ${code}`);
    await expect(runRbd(access, [], run)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });

  test('that dies after it has printed is no short answer', async () => {
    await playRbd('echo all is well; kill -9 $$');
    await expect(runRbd(access, [], run)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('that is silent for too long is UNAVAILABLE, and killed', async () => {
    await playRbd(`echo $$ > ${folder}/pid; exec /bin/sleep 600`);
    await expect(runRbd(access, [], { ...run, timeout: 200 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'cannot try: rbd did not answer for 200 ms',
    });
    expect(await isRunning(await readFile(join(folder, 'pid'), 'utf8'))).toBe(false);
  });

  test('may take longer as long as it says something, and its reader as long as it likes', async () => {
    await playRbd('for i in 1 2 3 4; do echo $i; /bin/sleep 0.2; done');
    let text = '';
    for await (const chunk of rbdBytes(access, [], { ...run, timeout: 3_000 })) {
      text += Buffer.from(chunk).toString();
      if (text === '1\n') await delay(3_100);
    }
    expect(text).toBe('1\n2\n3\n4\n');
  });

  test('ends with the abort and with its reader', async () => {
    await playRbd(`echo $$ > ${folder}/pid; echo; exec /bin/sleep 600`);
    const stopped = new AbortController();
    const reason = new Error('not wanted');
    const read = async (leave: boolean) => {
      for await (const chunk of rbdBytes(access, [], { ...run, signal: stopped.signal })) {
        expect(chunk).toHaveLength(1);
        if (leave) return;
        stopped.abort(reason);
      }
    };
    await read(true);
    expect(await isRunning(await readFile(join(folder, 'pid'), 'utf8'))).toBe(false);
    await expect(read(false)).rejects.toBe(reason);
    expect(await isRunning(await readFile(join(folder, 'pid'), 'utf8'))).toBe(false);
    await rm(join(folder, 'pid'));
    await expect(read(false)).rejects.toBe(reason);
    await expect(readFile(join(folder, 'pid'))).rejects.toThrow();
  });

  test('that is no longer wanted is left to end by itself: killed, it would keep its image busy', async () => {
    const stopped = new AbortController();
    const reason = new Error('not wanted');
    await playRbd(`echo > ${folder}/begun; /bin/sleep 0.5; echo > ${folder}/ended`);
    const asked = runRbd(access, [], { ...run, signal: stopped.signal });
    await vi.waitFor(() => readFile(join(folder, 'begun')));
    stopped.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect(await readFile(join(folder, 'ended'), 'utf8')).toBe('\n');

    await playRbd(`trap '' PIPE; while echo; do /bin/sleep 0.1; done 2>/dev/null; echo > ${folder}/heard`);
    for await (const chunk of rbdBytes(access, [], run)) if (chunk.length > 0) break;
    expect(await readFile(join(folder, 'heard'), 'utf8')).toBe('\n');
  });

  test('gets all that it is fed, and its ending counts', async () => {
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < 5; at += 1) yield Buffer.alloc(100_000, at);
    }
    await playRbd(`/bin/cat > ${folder}/fed`);
    await feedRbd(access, [], bytes(), run);
    expect(await readFile(join(folder, 'fed'))).toHaveLength(500_000);
    await playRbd('exit 28');
    await expect(feedRbd(access, [], bytes(), run)).rejects.toMatchObject({ code: 'NO_SPACE' });
    await playRbd('exec /bin/sleep 600');
    await expect(feedRbd(access, [], bytes(), { ...run, timeout: 200 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  test('whose food goes bad ends by itself, and does not get the rest', async () => {
    const bad = new Error('bad');
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      throw bad;
    }
    await playRbd(`/bin/cat > ${folder}/fed; echo > ${folder}/ended`);
    await expect(feedRbd(access, [], bytes(), run)).rejects.toBe(bad);
    expect(await readFile(join(folder, 'fed'))).toHaveLength(10);
    expect(await readFile(join(folder, 'ended'), 'utf8')).toBe('\n');
  });
});

describe('names', () => {
  test.each(['-a', '--help', 'a@b', 'a/b', '', 'a\n', 'x'.repeat(256)])(
    '%j never get to rbd',
    async (name) => {
      await playRbd(`echo > ${folder}/called`);
      const client = new RbdClient(access, { short: 1_000, long: 1_000 });
      const refused = { code: 'INVALID_ID' };
      await expect(client.image(name, call)).rejects.toMatchObject(refused);
      await expect(client.createSnapshot('image', name, call)).rejects.toMatchObject(refused);
      await expect(client.clone('image', 'snapshot', name, call)).rejects.toMatchObject(refused);
      await expect(readFile(join(folder, 'called'))).rejects.toThrow();
    },
  );

  test('that are odd are one argument each', async () => {
    await playRbd(`for one in "$@"; do echo "$one" >> ${folder}/called; done; exit 1`);
    const client = new RbdClient(access, { short: 1_000, long: 1_000 });
    await expect(client.createSnapshot('a b;$(c)', "d'e", call)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
    expect(await readFile(join(folder, 'called'), 'utf8')).toBe("snap\ncreate\npool/a b;$(c)@d'e\n");
  });

  test('and answers that are not understood are WRONG_ANSWER', async () => {
    const client = new RbdClient(access, { short: 5_000, long: 5_000 });
    for (const answer of ['', '{}', '[{"size":1}]', '{"size":-1}']) {
      await playRbd(`echo '${answer}'`);
      await expect(client.image('a', call)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    }
  });
});
