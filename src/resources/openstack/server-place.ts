import * as z from 'zod';
import type { CallOptions, JsonObject, Names } from '../../core/contracts/index.ts';
import { type Cloud, readAll } from './cloud.ts';
import { chooseFlavor, type Flavor, readFlavors } from './flavors.ts';
import { IMAGES } from './image.ts';
import type { ServerDescription } from './server-description.ts';

// What Nova calls the zone of hosts that are in none; who asks for it by name is bound to it for ever.
const NO_ZONE = 'nova';

const ZONE = z.object({ zoneName: z.string(), zoneState: z.object({ available: z.boolean() }) });

/** What a cloud has for servers. */
export type Offers = {
  readonly flavors: readonly Flavor[];
  readonly zones: readonly string[];
  /** Ids. */
  readonly images: readonly string[];
};

/** Where a server is made: what its request says of it, or what is missing. */
export type Place = { readonly gap?: string; readonly fields: JsonObject };

/** Reads what the cloud has for servers. */
export async function readOffers(cloud: Cloud, call: CallOptions): Promise<Offers> {
  const place = { path: ['os-availability-zone'], collection: 'availabilityZoneInfo' };
  const zones = await readAll(cloud.compute, place, ZONE, call);
  return {
    flavors: await readFlavors(cloud, call),
    images: Array.from((await cloud.list(IMAGES, call)).values(), ({ id }) => id),
    zones: zones.flatMap(({ zoneName, zoneState }) => (zoneState.available ? [zoneName] : [])),
  };
}

/** Where a server is made, or what is missing for it. */
export function placeIn(
  { flavors, zones, images }: Offers,
  description: ServerDescription,
  names: Names,
): Place {
  const { name, flavor: wanted, image, bootVolume, imageGone } = description;
  const { 'OS-EXT-AZ:availability_zone': original } = description;
  const flavor = chooseFlavor(flavors, wanted, names);
  const zone = typeof original === 'string' && original !== '' ? names.of('zone', original) : NO_ZONE;
  const gaps: string[] = [];
  if (flavor === undefined) {
    const { original_name, vcpus, ram, disk } = wanted;
    gaps.push(
      `has the flavor ${original_name} (${vcpus} CPUs, ${ram} MiB, ${disk} GiB), and the cloud has none of this size: map the flavor to another one`,
    );
  }
  if (zone !== NO_ZONE && !zones.includes(zone)) {
    gaps.push(`is in the zone ${zone}, which has no host of the cloud: map the zone to another one`);
  }
  if (image === null && bootVolume === null) gaps.push('starts from neither an image nor a volume');
  if (image !== null && imageGone === true && !images.includes(names.of('image', image))) {
    gaps.push(
      `starts from image ${image}, which was gone when it was protected: map the image to one that is there`,
    );
  }
  return {
    ...(gaps.length > 0 && { gap: `server ${name} ${gaps.join('; it ')}` }),
    fields: { flavorRef: flavor?.id, ...(zone !== NO_ZONE && { availability_zone: zone }) },
  };
}
