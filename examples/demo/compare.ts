import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, Provider, ResourceKey, RestoreMap, StandIn } from 'fafnir';
import { volumePath } from './make-site.ts';
import { keyText, pluginFor } from './read-application.ts';

const call = { signal: new AbortController().signal };

/** What a resource was at some moment. */
export interface Recorded {
  readonly resource: ResourceKey;
  readonly description: JsonObject;
  /** Of a volume: its size and the SHA-256 of all its bytes. */
  readonly data: { readonly bytes: number; readonly sha256: string } | null;
}

/** What was found equal, and what was not. */
export interface Comparison {
  readonly resources: number;
  readonly volumes: number;
  readonly bytes: number;
  readonly differences: readonly string[];
}

/** Takes down what a resource is: its description, and a digest of every byte. */
export async function record(provider: Provider, site: string, { type, id }: ResourceKey): Promise<Recorded> {
  const plugin = pluginFor(provider, { type, id });
  const description = await plugin.capture({ type, id }, call);
  const [volume] = (await plugin.volumes?.({ type, id }, call)) ?? [];
  const data = volume && { bytes: volume.size, sha256: await sha256(volumePath(site, volume.id)) };
  return { resource: { type, id }, description, data: data ?? null };
}

/**
 * Compares what a restore made with what was recorded of the originals, and what was there before (`kept`) with what
 * it is now.
 */
export async function compare(of: {
  readonly originals: readonly Recorded[];
  readonly kept: readonly Recorded[];
  readonly provider: Provider;
  readonly site: string;
  readonly standIns: readonly StandIn[];
  readonly map: RestoreMap;
}): Promise<Comparison> {
  const standIns = new Map(of.standIns.map(({ from, to }) => [keyText(from), to]));
  const kept = new Map(of.kept.map((one) => [keyText(one.resource), one]));
  const differences: string[] = [];
  let [resources, volumes, bytes] = [0, 0, 0];
  for (const original of of.originals) {
    const name = keyText(original.resource);
    const standIn = standIns.get(name);
    if (standIn === undefined) {
      differences.push(`${name} was not restored`);
      continue;
    }
    const found = await record(of.provider, of.site, standIn);
    const before = kept.get(keyText(standIn));
    const expected = before?.description ?? mapped(original, standIns, of.map);
    if (!isDeepStrictEqual(found.description, expected)) differences.push(`${name} has another description`);
    if (before !== undefined) continue;
    if (!isDeepStrictEqual(found.data, original.data)) differences.push(`${name} has other bytes`);
    resources += 1;
    volumes += found.data === null ? 0 : 1;
    bytes += found.data?.bytes ?? 0;
  }
  return { resources, volumes, bytes, differences };
}

/** The description that the original should have where it was restored. */
function mapped(
  { resource, description }: Recorded,
  standIns: ReadonlyMap<string, ResourceKey>,
  map: RestoreMap,
): JsonObject {
  const idOf = (type: string, id: string): string | undefined => standIns.get(keyText({ type, id }))?.id;
  const restored = JSON.parse(JSON.stringify(description), (field, value: unknown) => {
    if (field === 'servers' && Array.isArray(value)) return value.map((id) => idOf('Local::Server', id));
    if (typeof value !== 'string') return value;
    if (field === 'network') return idOf('Local::Network', value);
    if (field === 'volume') return idOf('Local::Volume', value);
    if (field === 'address') return map.addresses?.[value] ?? value;
    return value;
  });
  return { ...restored, id: idOf(resource.type, resource.id) };
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 ** 2 }), hash);
  return hash.digest('hex');
}
