import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesArray } from '../../../src/arrays/files.ts';
import { findOrCreate } from '../../../src/resources/local/creation.ts';
import { localNetwork } from '../../../src/resources/local/network.ts';
import { recordFolder } from '../../../src/resources/local/record-folder.ts';
import { localVolume } from '../../../src/resources/local/volume.ts';
import { call, emptySystem, otherToken, token } from './system.ts';

const type = 'Local::Network';
const description = { id: 'front', name: 'front', cidr: '10.0.0.0/24' };
const record = { name: 'front', cidr: '10.0.0.0/24' };
const request = {
  token,
  description,
  resolve: (key: object) => key as never,
  address: (same: string) => same,
};

function start(program: string, ...given: readonly string[]): ChildProcess {
  const path = new URL(`fixtures/${program}.ts`, import.meta.url).pathname;
  const child = spawn(process.execPath, [path, ...given], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

/** Leaves what a process leaves that is killed while it writes the record of `front`. */
async function killDrafter(root: string, of: string, when: 'unplaced' | 'placed'): Promise<void> {
  const written = JSON.stringify({ ...record, token: of });
  const child = start('drafter', root, of, 'front', written, when);
  await once(child.stdout ?? child, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
}

describe('what killed processes leave', () => {
  it('shows to nobody, and is removed by whoever creates with the token next', async () => {
    const { root, files } = await emptySystem();
    const networks = localNetwork({ root });
    await killDrafter(root, token, 'unplaced');
    expect(await files('networks')).toEqual([`~${token}`]);
    expect(await networks.find(['front'], call)).toEqual([]);
    expect((await networks.create(description, { token }, call)).id).toBe('front');
    expect(await files('networks')).toEqual(['front.json']);
  });

  it('is removed by whoever finds what was created', async () => {
    const { root, files } = await emptySystem();
    await killDrafter(root, token, 'placed');
    expect(await files('networks')).toEqual(['front.json', `~${token}`]);
    expect((await localNetwork({ root }).create(description, { token }, call)).id).toBe('front');
    expect(await files('networks')).toEqual(['front.json']);
  });

  it('is removed by whoever connects', async () => {
    const { root, files } = await emptySystem();
    await killDrafter(root, token, 'placed');
    await localNetwork({ root }).connect({ type, id: 'front' }, request, call);
    expect(await files('networks')).toEqual(['front.json']);
  });

  it.each(['unplaced', 'placed'] as const)('is removed by whoever undoes: %s', async (when) => {
    const { root, files } = await emptySystem();
    await killDrafter(root, token, when);
    await localNetwork({ root }).remove({ token }, call);
    expect(await files('networks')).toEqual([]);
  });

  it('is left alone by whoever has another token', async () => {
    const { root, files } = await emptySystem();
    const networks = localNetwork({ root });
    await killDrafter(root, token, 'unplaced');
    const made = await networks.create(description, { token: otherToken }, call);
    await networks.connect(made, { ...request, token: otherToken }, call);
    await networks.remove({ token: otherToken }, call);
    expect(await files('networks')).toEqual([`~${token}`]);
  });

  it('is removed from the array too, where the volume has no file yet', async () => {
    const { root, write, files } = await emptySystem();
    await write('volumes/db.json', { name: 'db', token });
    await write('volumes/db.partial/28a12a6b-7a3c-4b06-9d0f-5f4d1ee3f1e5/volume.raw', 'half');
    const volumes = localVolume({ root, array: filesArray({ name: 'files', root }) });
    await volumes.remove({ token }, call);
    expect(await files('volumes')).toEqual([]);
  });

  it('no link is followed to it', async () => {
    const { root, write, files } = await emptySystem();
    await write('elsewhere/file', 'x');
    await mkdir(join(root, 'networks'));
    await symlink(join(root, 'elsewhere'), join(root, 'networks', `~${token}`));
    const networks = localNetwork({ root });
    const refusal = { code: 'ACCESS_DENIED' };
    await expect(networks.create(description, { token }, call)).rejects.toMatchObject(refusal);
    await expect(networks.remove({ token }, call)).rejects.toMatchObject(refusal);
    expect(await files('elsewhere')).toEqual(['file']);
  });
});

describe('two callers with one token', () => {
  /** The first sees the id of the original in use or not, and goes on only when the second has ended. */
  async function race(inUse: { readonly first: boolean; readonly second: boolean }) {
    const { root, files } = await emptySystem();
    const folder = recordFolder(root, 'networks');
    const [reached, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const creation = { folder, original: 'front', token, record };
    let looks = 0;
    const first = findOrCreate(
      {
        ...creation,
        async inUse(id) {
          looks += 1;
          if (looks > 1) return false;
          reached.resolve();
          await ended.promise;
          return inUse.first && id === 'front';
        },
      },
      call,
    );
    await reached.promise;
    const inUseBySecond = async (id: string): Promise<boolean> => inUse.second && id === 'front';
    const second = await findOrCreate({ ...creation, inUse: inUseBySecond }, call);
    ended.resolve();
    return { ids: [await first, second], files: await files('networks') };
  }

  it('get one record where the original goes between their looks', async () => {
    expect(await race({ first: true, second: false })).toEqual({
      ids: ['front', 'front'],
      files: ['front.json'],
    });
  });

  it('get one record where the original comes between their looks', async () => {
    const other = 'front-01234567';
    expect(await race({ first: false, second: true })).toEqual({
      ids: [other, other],
      files: [`${other}.json`],
    });
  });

  it('get one record and one volume each time, as processes, while the originals come and go', async () => {
    const { root } = await emptySystem();
    const rounds = 20;
    await mkdir(join(root, 'networks'));
    const children = [1, 2].map(() => start('creator', root, String(rounds)));
    await Promise.all(children.map((child) => once(child.stdout ?? child, 'data')));
    let running = true;
    const answers = Promise.all(children.map((child) => text(child.stdout ?? expect.fail()))).finally(() => {
      running = false;
    });
    for (const child of children) child.stdin?.write('go\n');
    for (let round = 0; running; round = (round + 1) % rounds) await comeAndGo(root, `one-${round}`);
    const [one, other] = await answers;
    expect(one).not.toBe('');
    expect(other).toBe(one);
    const ids: string[] = JSON.parse(one ?? '');
    const [networks, volumes] = [0, 1].map((rest) => ids.filter((_, at) => at % 2 === rest));
    expect(new Set(await readdir(join(root, 'networks')))).toEqual(
      new Set(networks?.map((id) => `${id}.json`)),
    );
    expect(new Set(await readdir(join(root, 'volumes')))).toEqual(
      new Set(volumes?.flatMap((id) => [`${id}.json`, `${id}.raw`])),
    );
  });

  /** A network of somebody else, for a moment, where the id is free. */
  async function comeAndGo(root: string, id: string): Promise<void> {
    const path = join(root, 'networks', `${id}.json`);
    const file = await open(path, 'wx').catch(() => undefined);
    if (file === undefined) return;
    await file.close();
    await writeFile(path, JSON.stringify(record));
    await rm(path);
  }
});

it('a creation that comes after its removal leaves alone what another has made under the id since', async () => {
  const { root, files, read } = await emptySystem();
  const array = filesArray({ name: 'files', root });
  const { target } = array;
  if (target === undefined) throw new Error('no target role');
  const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = {
    ...array,
    target: {
      ...target,
      create: async (...given: Parameters<typeof target.create>) => {
        reached.resolve();
        await goOn.promise;
        return await target.create(...given);
      },
    },
  };
  const volume = { id: 'db', name: 'db', size: 4096 };
  const volumes = localVolume({ root, array });
  const late = localVolume({ root, array: slow }).create(volume, { token }, call);
  await reached.promise;
  await volumes.remove({ token }, call);
  await volumes.create(volume, { token: otherToken }, call);
  goOn.resolve();
  await expect(late).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await files('volumes')).toEqual(['db.json', 'db.raw']);
  expect(await read('volumes/db.json')).toEqual({ name: 'db', token: otherToken });
});
