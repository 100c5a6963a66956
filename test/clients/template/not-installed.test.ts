import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { writeTemplate } from '../../../src/clients/template/index.ts';
import { temporaryDirectory } from '../../core/engine/application.ts';
import { failure } from '../../core/engine/world.ts';

// A host that has the program cannot be made to lack it.
vi.mock('../../../src/clients/host/run.ts', async (load) => {
  const run = await load<typeof import('../../../src/clients/host/run.ts')>();
  const findProgram = ({ name, ...rest }: Parameters<typeof run.findProgram>[0]): Promise<string> =>
    run.findProgram({ name: `${name}-of-nobody`, ...rest });
  return { ...run, findProgram };
});

it('a qcow2 or vhd template is refused by name where qemu-img is not installed, before any effect', async () => {
  await using directory = await temporaryDirectory();
  for (const format of ['qcow2', 'vhd'] as const) {
    const close = (): Promise<void> => Promise.resolve();
    const source = {
      access: 'random' as const,
      size: 1,
      extents: () => expect.unreachable(),
      readInto: () => expect.unreachable(),
      close,
      [Symbol.asyncDispose]: close,
    };
    const error = await failure(() => writeTemplate(source, { path: join(directory.path, 'x'), format }));
    expect(error).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/qemu-img.* not installed/),
    });
    expect(await readdir(directory.path)).toEqual([]);
  }
});
