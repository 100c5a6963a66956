import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { SequentialSource } from '../../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../../src/core/errors.ts';

/** What a program prints as a source, all of it data; one that ends badly, or prints too little, is `UNAVAILABLE`. */
export function programSource(
  program: string,
  parameters: readonly string[],
  size: number,
): SequentialSource {
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  const close = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    access: 'sequential',
    size,
    async *blocks() {
      let offset = 0;
      for await (const data of child.stdout) {
        yield { offset, data, kind: 'data' };
        offset += data.length;
      }
      const [code] = await ended;
      if (code === 0 && offset === size) return;
      throw new FafnirError('UNAVAILABLE', `${program} ended with ${code} after ${offset} bytes of ${size}`);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
