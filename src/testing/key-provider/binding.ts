import { bytesOf, CONTEXT, forEach, keyOf, live, type Obligation, refuses, withBytes } from './obligation.ts';

const OTHER_CONTEXTS = [
  ...[CONTEXT.slice(0, -1), `${CONTEXT}0`, `${CONTEXT} `, ` ${CONTEXT}`, `${CONTEXT}\0`, `${CONTEXT}/`],
  ...[CONTEXT.toUpperCase(), CONTEXT.replace('tenant-1', 'tenant-2'), 'c', CONTEXT + CONTEXT],
];

/** What was not wrapped so does not unwrap. */
export const BINDING: readonly Obligation[] = [
  {
    name: 'refuses any other context with CORRUPT',
    async run(provider) {
      const wrapped = await provider.wrap(keyOf(32), CONTEXT, live);
      await forEach(OTHER_CONTEXTS, (context) =>
        refuses(JSON.stringify(context), () => provider.unwrap(wrapped, context, live), 'CORRUPT'),
      );
      // Equal to the eye, and to whoever normalises text.
      const accented = await provider.wrap(keyOf(32), 'caf\u00e9', live);
      await refuses('normalised', () => provider.unwrap(accented, 'cafe\u0301', live), 'CORRUPT');
    },
  },
  {
    name: 'refuses with CORRUPT a context that none was wrapped with: empty, or of 1,025 characters',
    async run(provider) {
      const longest = 'c'.repeat(1_024);
      const wrapped = await provider.wrap(keyOf(32), longest, live);
      for (const context of ['', `${longest}c`]) {
        await refuses('a context', () => provider.unwrap(wrapped, context, live), 'CORRUPT');
      }
    },
  },
  {
    name: 'refuses every flipped bit of the wrapped bytes with CORRUPT',
    async run(provider) {
      const wrapped = await provider.wrap(keyOf(32), CONTEXT, live);
      const bits = Array.from({ length: bytesOf(wrapped).length * 8 }, (_, index) => index);
      await forEach(bits, async (bit) => {
        const bytes = bytesOf(wrapped);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await refuses(
          `bit ${bit}`,
          () => provider.unwrap(withBytes(wrapped, bytes), CONTEXT, live),
          'CORRUPT',
        );
      });
    },
  },
  {
    name: 'refuses wrapped bytes that were cut, lengthened or put together of two with CORRUPT',
    async run(provider) {
      const wrapped = await provider.wrap(keyOf(32), CONTEXT, live);
      const bytes = bytesOf(wrapped);
      const other = bytesOf(await provider.wrap(keyOf(32, 1), CONTEXT, live));
      const pieces = Array.from(bytes, (_, length) => bytes.subarray(0, length));
      const lengthened = [
        [...bytes, 0],
        [0, ...bytes],
        [...bytes, ...bytes],
        [...bytes, ...new Uint8Array(3_000)],
      ];
      const middle = bytes.length >> 1;
      const mixed = [...bytes.subarray(0, middle), ...other.subarray(middle)];
      const changed = [...pieces, ...[...lengthened, mixed].map((numbers) => Uint8Array.from(numbers))];
      await forEach(changed, (odd) =>
        refuses(
          `${odd.length} bytes`,
          () => provider.unwrap(withBytes(wrapped, odd), CONTEXT, live),
          'CORRUPT',
        ),
      );
    },
  },
  {
    name: 'refuses with CORRUPT any other spelling of the wrapped bytes, and what is no base64',
    async run(provider) {
      // With three sizes, one at least ends in padding.
      await forEach([31, 32, 33], async (size) => {
        const { by, bytes } = await provider.wrap(keyOf(size), CONTEXT, live);
        const padding = bytes.endsWith('=') ? [bytes.replace(/=+$/, '')] : [];
        const around = [
          `${bytes}\n`,
          ` ${bytes}`,
          `${bytes}!`,
          `${bytes}=`,
          `${bytes}====`,
          `${bytes.slice(0, 8)} ${bytes.slice(8)}`,
        ];
        const none = ['', '=', '!', 'null', '\0', '\u20ac'.repeat(8), 'A'.repeat(4_096), 'A'.repeat(100_000)];
        for (const odd of [...around, ...padding, ...none]) {
          const what = `${odd.length} characters`;
          await refuses(what, () => provider.unwrap({ by, bytes: odd }, CONTEXT, live), 'CORRUPT');
        }
      });
    },
  },
];
