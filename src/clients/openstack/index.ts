import * as z from 'zod';
import { systemClock } from '../../core/clock.ts';
import type { CallOptions, Clock } from '../../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import type { OpenStackInterface } from './catalog.ts';
import { CREDENTIALS, type OpenStackCredentials } from './credentials.ts';
import { isMicroversion, type OpenStackMicroversions } from './microversions.ts';
import { Secrets } from './secrets.ts';
import { type OpenStackService, Service, type ServiceSettings } from './service.ts';
import { type OpenStackScope, Session } from './session.ts';
import { Wire } from './wire.ts';

export type { OpenStackInterface } from './catalog.ts';
export type {
  OpenStackApplicationCredential,
  OpenStackCredentials,
  OpenStackDomain,
  OpenStackOwned,
  OpenStackPassword,
  OpenStackTempAuth,
  OpenStackToken,
} from './credentials.ts';
export type { OpenStackMicroversions } from './microversions.ts';
export type {
  OpenStackList,
  OpenStackPlace,
  OpenStackRequest,
  OpenStackService,
  OpenStackTransfer,
} from './service.ts';
export type { OpenStackNamed, OpenStackScope } from './session.ts';
export type { OpenStackWait, OpenStackWaitGone } from './states.ts';
export type { OpenStackBytes, OpenStackStream } from './transfer.ts';

/** Options of {@link openStackClient}. */
export interface OpenStackOptions {
  /**
   * The address of Keystone, such as `https://cloud.example.org:5000`, with or without `/v3`; with credentials of the type
   * `tempauth` that of Swift's own authentication, such as `https://swift.example.org/auth/v1.0`.
   */
  readonly authUrl: string;
  /** Who calls, or a function that says so; it is asked whenever a token is needed. */
  readonly credentials: OpenStackCredentials | (() => Promise<OpenStackCredentials>);
  /** Needed where a service is in several regions. */
  readonly region?: string;
  /** Which addresses of the catalog are used. Default: `public`. */
  readonly interface?: OpenStackInterface;
  /** How long one request may take, until the end of its answer; and how long a transfer may stand still. Default: 60,000. */
  readonly timeoutMilliseconds?: number;
  /** Default: the machine's own. */
  readonly clock?: Clock;
}

/** A cloud as one user sees one project of it. Nothing is sent before the first call. */
export interface OpenStackClient extends AsyncDisposable {
  /** Who the credentials are of. `ACCESS_DENIED` where Keystone does not know them. */
  scope(call: CallOptions): Promise<OpenStackScope>;
  /**
   * A service by its type, such as `compute`; older names, such as `volumev3`, are known. Its calls are refused with
   * `UNSUPPORTED` where the catalog has none, and where no microversion fits. Without `microversions` the service gives
   * what its first version gave.
   */
  service(type: string, microversions?: OpenStackMicroversions): OpenStackService;
  /** Ends calls that are under way, and all connections. */
  close(): Promise<void>;
}

const LONGEST_TIMEOUT = 3_600_000;

const OPTIONS = strictOptions({
  authUrl: z.string().refine(isAddress, 'not an http or https address without a user'),
  credentials: z.union([
    CREDENTIALS,
    z.custom<() => Promise<OpenStackCredentials>>((value) => typeof value === 'function'),
  ]),
  region: z.string().min(1).exactOptional(),
  interface: z.enum(['public', 'internal', 'admin']).exactOptional(),
  timeoutMilliseconds: z.int().min(1).max(LONGEST_TIMEOUT).exactOptional(),
  clock: z.custom<Clock>((value) => typeof value === 'object' && value !== null).exactOptional(),
}) satisfies z.ZodType<OpenStackOptions>;

const microversion = z.string().refine(isMicroversion, 'not a microversion such as 3.27');
const MICROVERSIONS = strictOptions({
  least: microversion,
  most: microversion,
}) satisfies z.ZodType<OpenStackMicroversions>;

/** A client of the services of an OpenStack cloud. It needs the package `undici`. */
export function openStackClient(options: OpenStackOptions): OpenStackClient {
  return new Client(parseOptions('openStackClient', OPTIONS, options));
}

class Client implements OpenStackClient {
  readonly #settings: ServiceSettings;

  constructor(options: OpenStackOptions) {
    const { credentials, clock = systemClock, timeoutMilliseconds = 60_000 } = options;
    const secrets = new Secrets();
    const wire = new Wire({ clock, timeoutMilliseconds, secrets });
    const identityUrl = new URL(`${options.authUrl.replace(/(\/+v3)?\/*$/, '')}/v3/`);
    const authUrl = new URL(options.authUrl);
    const session = new Session({ authUrl, identityUrl, credentials, wire, clock, secrets });
    const { region, interface: reached = 'public' } = options;
    this.#settings = { identityUrl, region, interface: reached, session, wire, clock, secrets };
  }

  async scope(call: CallOptions): Promise<OpenStackScope> {
    return (await this.#settings.session.token(call)).scope;
  }

  service(type: string, microversions?: OpenStackMicroversions): OpenStackService {
    const wanted =
      microversions === undefined ? undefined : parseOptions('microversions', MICROVERSIONS, microversions);
    return new Service(parseOptions('service', z.string().min(1), type), wanted, this.#settings);
  }

  close(): Promise<void> {
    return this.#settings.wire.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function isAddress(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, search, hash } = new URL(value);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === '';
}
