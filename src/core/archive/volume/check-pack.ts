import type { CallOptions } from '../../contracts/index.ts';
import type { PackHeader } from '../pack.ts';
import { release } from '../release.ts';
import type { ChunkFetcher } from './chunk-fetcher.ts';
import { eachInLanes } from './lanes.ts';
import type { LocatedPack } from './locations.ts';
import type { VerifyLevel } from './proofs.ts';
import { groupsOf, LARGEST_READ } from './read-plan.ts';

/**
 * Checks all of a pack: that it is as long as it should be, says of itself what the index said, and that every chunk in
 * it is as it was sealed; `deep` also that it is what its id says. `CORRUPT` or `NOT_FOUND`, naming pack and bank.
 */
export async function checkPack(
  fetcher: ChunkFetcher,
  number: number,
  level: VerifyLevel,
  call: CallOptions,
): Promise<void> {
  const pack = fetcher.locations.packs[number];
  if (pack === undefined) throw new RangeError(`there is no pack ${number}`);
  using _permit = await fetcher.threads.packs.hold(call.signal);
  const whole = await readWhole(fetcher, pack, call);
  const header = await headerOf(fetcher, pack, whole, call);
  assertAsIndexed(fetcher, pack, header);
  await eachInLanes(
    () => groupsOf(header.chunks()),
    { concurrency: fetcher.threads.width, signal: call.signal },
    async (chunks, signal) => {
      const [first, last] = [chunks[0], chunks.at(-1)];
      if (first === undefined || last === undefined) return;
      const end = last.offset + last.storedBytes;
      const bytes =
        whole?.subarray(first.offset, end) ??
        (await fetcher.permits.use(signal, () =>
          fetcher.packs.read(pack.name, first.offset, end - first.offset, { signal }),
        ));
      await fetcher.open({ pack: number, chunks, sealed: new Uint8Array(bytes) }, level, { signal });
    },
  );
  if (whole !== undefined) release(whole);
}

/** A pack's bytes, or undefined where it is too large to be in memory. */
async function readWhole(
  { packs, permits }: ChunkFetcher,
  { name, size }: LocatedPack,
  call: CallOptions,
): Promise<Uint8Array | undefined> {
  if (size > LARGEST_READ) return undefined;
  return permits.use(call.signal, () => packs.readWhole(name, size, call));
}

async function headerOf(
  { packs, permits }: ChunkFetcher,
  { name, size, keyId }: LocatedPack,
  whole: Uint8Array | undefined,
  call: CallOptions,
): Promise<PackHeader> {
  return permits.use(call.signal, async () => {
    if (whole !== undefined) return (await packs.openHeader({ name, size, keyId }, whole, call)).header;
    if ((await packs.size(name, call)) !== size) throw packs.corrupt(name, 'has another length than it had');
    return (await packs.header(name, size, call, keyId)).header;
  });
}

function assertAsIndexed({ locations, packs }: ChunkFetcher, pack: LocatedPack, header: PackHeader): void {
  let isSame = header.count === pack.count;
  for (const { at, id, offset, rawBytes, storedBytes, flags } of header.chunks()) {
    if (!isSame) break;
    const location = pack.first + at;
    const indexed = locations.at(location);
    isSame =
      locations.isAt(location, id, rawBytes) &&
      indexed.offset === offset &&
      indexed.storedBytes === storedBytes &&
      indexed.flags === flags;
  }
  if (!isSame) throw packs.corrupt(pack.name, 'is not what an index says');
}
