import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { CallOptions, Names } from '../../core/contracts/index.ts';
import { type Cloud, readAll } from './cloud.ts';

/** What a server has of its host. */
export type FlavorSize = {
  readonly vcpus: number;
  /** MiB. */
  readonly ram: number;
  /** GiB. */
  readonly disk: number;
  /** GiB. */
  readonly ephemeral: number;
  /** MiB. */
  readonly swap: number;
  readonly extra_specs: Readonly<Record<string, string>>;
};

/** The flavor of a server, which does not tell its id. */
export type ServerFlavor = FlavorSize & { readonly original_name: string };

/** A flavor that a project can use. */
export type Flavor = FlavorSize & { readonly id: string; readonly name: string };

const size = {
  vcpus: z.int(),
  ram: z.int(),
  disk: z.int(),
  swap: z.int().default(0),
  extra_specs: z.record(z.string(), z.string()).default({}),
};
const FLAVOR = z
  .object({ ...size, id: z.string(), name: z.string(), 'OS-FLV-EXT-DATA:ephemeral': z.int().default(0) })
  .transform(({ 'OS-FLV-EXT-DATA:ephemeral': ephemeral, ...fields }): Flavor => ({ ...fields, ephemeral }));

/** The flavor of a server as Nova tells it, and as it is kept. */
export const SERVER_FLAVOR: z.ZodType<ServerFlavor> = z.object({
  ...size,
  original_name: z.string(),
  ephemeral: z.int().default(0),
});

/** The flavors that the project can use. */
export function readFlavors(cloud: Cloud, call: CallOptions): Promise<readonly Flavor[]> {
  return readAll(cloud.compute, { path: ['flavors', 'detail'], collection: 'flavors' }, FLAVOR, call);
}

/**
 * The flavor for a server: that to which its name is mapped, whatever its size; else one of its size, of the same name, or
 * at least of the same extra specifications, where there is one. Undefined where nothing fits.
 */
export function chooseFlavor(
  flavors: readonly Flavor[],
  { original_name: name, ...wanted }: ServerFlavor,
  names: Names,
): Flavor | undefined {
  const mapped = names.of('flavor', name);
  if (mapped !== name) return flavors.find((one) => one.name === mapped);
  const fitting = flavors
    .filter((one) => SIZES.every((size) => one[size] === wanted[size]))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return (
    fitting.find((one) => one.name === name) ??
    fitting.find((one) => isDeepStrictEqual(one.extra_specs, wanted.extra_specs)) ??
    fitting[0]
  );
}

const SIZES = ['vcpus', 'ram', 'disk', 'ephemeral', 'swap'] as const;
