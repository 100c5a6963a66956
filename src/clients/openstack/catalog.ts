import { FafnirError } from '../../core/errors.ts';

/** An entry of the catalog that came with a token. */
export interface CatalogEntry {
  readonly type: string;
  readonly endpoints: readonly CatalogEndpoint[];
}

/** Where a service is. */
export interface CatalogEndpoint {
  readonly interface: string;
  readonly region?: string | null | undefined;
  readonly url: string;
}

/** For whom endpoints are. */
export type OpenStackInterface = 'public' | 'internal' | 'admin';

/** What is looked for. */
export interface Wanted {
  /** As the catalog of today names it. */
  readonly type: string;
  readonly region: string | undefined;
  readonly interface: OpenStackInterface;
}

// What catalogs of some age call services, the newer names first.
const ALIASES: readonly (readonly string[])[] = [
  ['block-storage', 'block-store', 'volumev3', 'volume'],
  ['shared-file-system', 'sharev2', 'share'],
];

// Where a catalog names a service without its version.
const VERSIONS: Readonly<Record<string, string>> = { image: 'v2', network: 'v2.0' };
const VERSION = /^v\d+(\.\d+)?$/;

/** The name that a service has today. */
export function serviceTypeOf(type: string): string {
  return ALIASES.find((names) => names.includes(type))?.[0] ?? type;
}

/** The address of a service, ending in a slash; refuses with what there is instead. */
export function endpointOf(catalog: readonly CatalogEntry[], wanted: Wanted): URL {
  const names = ALIASES.find(([name]) => name === wanted.type) ?? [wanted.type];
  const candidates = names
    .flatMap((name) => catalog.filter(({ type }) => type === name))
    .flatMap(({ endpoints }) => endpoints)
    .filter((endpoint) => endpoint.interface === wanted.interface);
  const chosen = candidates.find(({ region }) => wanted.region === undefined || region === wanted.region);
  const regions = [...new Set(candidates.map(({ region }) => region ?? 'none'))].sort();
  if (chosen === undefined) throw missing(catalog, wanted, regions);
  if (wanted.region === undefined && regions.length > 1) {
    const message = `${wanted.type} is in the regions ${regions.join(', ')}`;
    throw new FafnirError('INVALID_OPTIONS', message, { hint: 'Choose one with the option region.' });
  }
  return versioned(wanted.type, chosen.url);
}

function missing(catalog: readonly CatalogEntry[], wanted: Wanted, regions: readonly string[]): FafnirError {
  const where = wanted.region === undefined ? '' : ` in region ${wanted.region}`;
  const all = catalog.flatMap(({ endpoints }) => endpoints.map(({ region }) => region ?? 'none'));
  const known = [...new Set(all)].sort();
  if (wanted.region !== undefined && !known.includes(wanted.region)) {
    const message = `the catalog has no region ${wanted.region}; it has ${known.join(', ')}`;
    return new FafnirError('INVALID_OPTIONS', message);
  }
  const other = regions.length > 0 ? `; it is in ${regions.join(', ')}` : '';
  return new FafnirError(
    'UNSUPPORTED',
    `the catalog has no ${wanted.interface} ${wanted.type}${where}${other}`,
    {
      hint: 'Use a region or interface that has the service, or ask the operator for it.',
    },
  );
}

function versioned(type: string, address: string): URL {
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
    throw new FafnirError('WRONG_ANSWER', `the catalog has no http address for ${type}`);
  }
  const url = new URL(address);
  const segments = url.pathname.split('/').filter((segment) => segment !== '');
  const version = VERSIONS[type];
  if (version !== undefined && !segments.some((segment) => VERSION.test(segment))) segments.push(version);
  url.pathname = segments
    .map((segment) => `/${segment}`)
    .join('')
    .concat('/');
  return url;
}

/** Where a service tells its versions: at its address without the project. */
export function versionsUrlOf(endpoint: URL): URL {
  const segments = endpoint.pathname.split('/');
  const at = segments.findIndex((segment) => VERSION.test(segment));
  const url = new URL(endpoint);
  if (at >= 0) url.pathname = `${segments.slice(0, at + 1).join('/')}/`;
  return url;
}
