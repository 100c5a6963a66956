import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { writeTemplate } from '../../../src/clients/template/index.ts';
import type { Extent, VolumeSource } from '../../../src/index.ts';
import { temporaryDirectory } from '../../core/engine/application.ts';
import { failure } from '../../core/engine/world.ts';

const MEBIBYTE = 1024 * 1024;
const hasQemuImg = ['/usr/bin', '/usr/local/bin', '/bin'].some((folder) =>
  existsSync(join(folder, 'qemu-img')),
);

/** Text, a hole, zeros that are called data, text up to the end. */
function volume(size: number): { bytes: Buffer; extents: Extent[] } {
  const bytes = Buffer.alloc(size);
  bytes.fill('begin ', 100, 200_000);
  bytes.fill('end ', size - 70_000);
  const hole = 8 * MEBIBYTE;
  return {
    bytes,
    extents: [
      { offset: 0, length: MEBIBYTE, kind: 'data' },
      { offset: MEBIBYTE, length: hole, kind: 'zero' },
      { offset: MEBIBYTE + hole, length: size - MEBIBYTE - hole, kind: 'data' },
    ],
  };
}

function sourceOf(
  { bytes, extents }: ReturnType<typeof volume>,
  reading: (offset: number) => void = () => undefined,
): VolumeSource {
  const close = (): Promise<void> => Promise.resolve();
  return {
    access: 'random',
    size: bytes.length,
    async *extents() {
      yield* extents;
    },
    async readInto(offset, into, { signal }) {
      reading(offset);
      signal.throwIfAborted();
      into.set(bytes.subarray(offset, offset + into.length));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const SIZE = 20 * MEBIBYTE;

describe('a raw template', () => {
  it.each([SIZE, SIZE + 1])('of %d bytes holds them, and holes where they are zeros', async (size) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'template.raw');
    const of = volume(size);
    await writeTemplate(sourceOf(of), { path, format: 'raw' });
    expect((await readFile(path)).equals(of.bytes)).toBe(true);
    expect((await stat(path)).blocks * 512).toBeLessThan(MEBIBYTE);
    expect(await readdir(directory.path)).toEqual(['template.raw']);
  });

  it('never replaces what is there, nor what comes there meanwhile', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'template.raw');
    await writeFile(path, 'mine');
    const write = (source: VolumeSource) => () => writeTemplate(source, { path, format: 'raw' });
    expect((await failure(write(sourceOf(volume(SIZE))))).code).toBe('ALREADY_EXISTS');
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  it('leaves nothing where its source fails or it is aborted', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'template.raw');
    const broken = sourceOf(volume(SIZE), (offset) => {
      if (offset > MEBIBYTE) throw new Error('unreadable');
    });
    await expect(writeTemplate(broken, { path, format: 'raw' })).rejects.toThrow('unreadable');
    const controller = new AbortController();
    const aborted = sourceOf(volume(SIZE), (offset) => {
      if (offset > MEBIBYTE) controller.abort(new Error('enough'));
    });
    const options = { path, format: 'raw', signal: controller.signal } as const;
    await expect(writeTemplate(aborted, options)).rejects.toThrow('enough');
    expect(await readdir(directory.path)).toEqual([]);
  });

  it('is refused where its folder is missing, and what comes to its path meanwhile stays', async () => {
    await using directory = await temporaryDirectory();
    const nowhere = join(directory.path, 'nowhere', 'template.raw');
    const write = () => writeTemplate(sourceOf(volume(SIZE)), { path: nowhere, format: 'raw' });
    expect((await failure(write)).code).toBe('NOT_FOUND');
    const path = join(directory.path, 'template.raw');
    const slow = sourceOf(volume(SIZE), () => {
      if (!existsSync(path)) execFileSync('touch', [path]);
    });
    expect((await failure(() => writeTemplate(slow, { path, format: 'raw' }))).code).toBe('ALREADY_EXISTS');
    expect(await readdir(directory.path)).toEqual(['template.raw']);
    expect((await stat(path)).size).toBe(0);
  });

  it('is not believed where what was read back differs', async () => {
    await using directory = await temporaryDirectory();
    const { bytes, extents } = volume(SIZE);
    // The second time it is asked, the source says that something else was zeros.
    let asked = 0;
    const liar: VolumeSource = {
      ...sourceOf({ bytes, extents }),
      async *extents() {
        asked += 1;
        yield* asked === 1 ? extents : [{ offset: 0, length: SIZE, kind: 'zero' as const }];
      },
    };
    const path = join(directory.path, 'template.raw');
    expect((await failure(() => writeTemplate(liar, { path, format: 'raw' }))).code).toBe('NOT_PROVEN');
    expect(await readdir(directory.path)).toEqual([]);
  });
});

describe('a template of virtual machines', () => {
  it.skipIf(!hasQemuImg).each(['qcow2', 'vhd'] as const)('is the volume as %s', async (format) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, `template.${format}`);
    const of = volume(SIZE + 1000);
    await writeTemplate(sourceOf(of), { path, format });
    expect(await readdir(directory.path)).toEqual([`template.${format}`]);
    expect((await stat(path)).size).toBeLessThan(10 * MEBIBYTE);
    const raw = join(directory.path, 'raw');
    const driver = format === 'vhd' ? 'vpc' : format;
    execFileSync('qemu-img', ['convert', '-f', driver, '-O', 'raw', path, raw]);
    const back = await readFile(raw);
    expect(back.subarray(0, of.bytes.length).equals(of.bytes)).toBe(true);
    expect(back.subarray(of.bytes.length).every((byte) => byte === 0)).toBe(true);
  });

  it('is not believed where the program makes something else, and leaves nothing', async () => {
    await using directory = await temporaryDirectory();
    const programs = join(directory.path, 'programs');
    await mkdir(programs);
    // One that forgets the end of what it converts.
    const forgetful = `#!/bin/sh
if [ "$1" = convert ]; then truncate -s 21M "$0.short"; exec /usr/bin/qemu-img convert -f raw -O qcow2 "$0.short" "$7"; fi
exec /usr/bin/qemu-img "$@"
`;
    await writeFile(join(programs, 'qemu-img'), forgetful);
    await chmod(join(programs, 'qemu-img'), 0o755);
    const target = join(directory.path, 'target');
    await mkdir(target);
    vi.stubEnv('PATH', programs);
    try {
      const path = join(target, 'template.qcow2');
      const write = () => writeTemplate(sourceOf(volume(SIZE)), { path, format: 'qcow2' });
      const { code, message } = await failure(write);
      expect({ code, message }).toEqual({
        code: 'NOT_PROVEN',
        message: expect.stringMatching(/Content mismatch/),
      });
      expect(await readdir(target)).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('is refused as a vhd of more than 2040 GiB', async () => {
    await using directory = await temporaryDirectory();
    const large = { ...sourceOf(volume(SIZE)), size: 2041 * 1024 ** 3 };
    const write = () => writeTemplate(large, { path: join(directory.path, 'large.vhd'), format: 'vhd' });
    expect((await failure(write)).code).toBe('UNSUPPORTED');
    expect(await readdir(directory.path)).toEqual([]);
  });
});
