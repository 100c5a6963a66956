import type { SequentialSource, VolumeSource } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import type { StorageArrayFixture } from '../../src/testing/storage-array-suite.ts';

/**
 * How readers go wrong. `shared`: whoever closes a snapshot ends what all others read it by. `kept`: what is ended stays.
 * `untold`: nothing is told of what went. `unchecked`: any text is a token.
 */
export type ReaderFault = 'kept' | 'shared' | 'unchecked' | 'untold';

const TOKEN = /^[a-z0-9-]{1,64}$/;

/** An array as one that makes a copy for each reader of a snapshot; honest unless told otherwise. */
export function withReaders(fixture: StorageArrayFixture, fault?: ReaderFault): StorageArrayFixture {
  const { array } = fixture;
  /** Those that use each copy, by the reader's name. */
  const copies = new Map<string, Set<object>>();

  const check = (token: string): void => {
    if (fault === 'unchecked' || TOKEN.test(token)) return;
    throw new FafnirError('INVALID_ID', `not a token: ${token}`);
  };

  const copied = (source: VolumeSource, reader: string): VolumeSource => {
    const copy = copies.get(reader) ?? new Set();
    copies.set(reader, copy.add(source));
    const checkThere = (): void => {
      if (copies.get(reader) !== copy) throw new FafnirError('NOT_FOUND', `nothing is there for ${reader}`);
    };
    const close = async (): Promise<void> => {
      copy.delete(source);
      const isLast = copy.size === 0 || fault === 'shared';
      if (isLast && copies.get(reader) === copy) copies.delete(reader);
    };
    return {
      ...source,
      async *extents(call) {
        checkThere();
        yield* source.extents(call);
      },
      async readInto(offset, into, call) {
        checkThere();
        await source.readInto(offset, into, call);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  };

  return {
    ...fixture,
    array: {
      ...array,
      async open(snapshot, options, call): Promise<SequentialSource | VolumeSource> {
        if (options.token !== undefined) check(options.token);
        const source = await array.open(snapshot, options, call);
        const token = fault === 'shared' ? '' : (options.token ?? '');
        return source.access === 'random' ? copied(source, `${snapshot.name} by ${token}`) : source;
      },
      async endReading(token) {
        check(token);
        const ended = [...copies.keys()].filter((reader) => reader.endsWith(` by ${token}`));
        if (fault !== 'kept') for (const reader of ended) copies.delete(reader);
        return fault === 'untold' ? [] : ended;
      },
    },
  };
}
