import * as z from 'zod';
import type { JsonObject } from '../../core/contracts/index.ts';
import { strictOptions } from '../../core/options.ts';

/** A domain of Keystone, by its id or by its name. */
export type OpenStackDomain =
  | {
      /** As Keystone made it; `default` is that of many clouds. */
      readonly id: string;
    }
  | {
      /** As people call it. */
      readonly name: string;
    };

/** A user or a project: by its id, or by its name in a domain. Without one, the domain is that with the id `default`. */
export type OpenStackOwned =
  | {
      /** As Keystone made it. */
      readonly id: string;
    }
  | {
      /** Unique in the domain. */
      readonly name: string;
      /** Where the name is looked up. */
      readonly domain?: OpenStackDomain;
    };

/** A user's own password; tokens are renewed with it. */
export type OpenStackPassword = {
  /** Tells the kinds apart. */
  readonly type: 'password';
  /** Who calls. */
  readonly user: OpenStackOwned;
  /** Leaves the process for Keystone alone. */
  readonly password: string;
  /** Where. */
  readonly project: OpenStackOwned;
};

/** What a user made for a program; it has a project, and can be taken away without a new password. */
export type OpenStackApplicationCredential = {
  /** Tells the kinds apart. */
  readonly type: 'application-credential';
  /** Of the credential; no secret. */
  readonly id: string;
  /** Leaves the process for Keystone alone. */
  readonly secret: string;
};

/** A token that somebody else got. It cannot be renewed: give a function that gets a new one. */
export type OpenStackToken = {
  /** Tells the kinds apart. */
  readonly type: 'token';
  /** Sent to all services. */
  readonly token: string;
  /** Another project than the token's own; tokens of application credentials cannot change theirs. */
  readonly project?: OpenStackOwned;
};

/** A user of Swift's own authentication, version 1, where there is no Keystone. There is no service but Swift then. */
export type OpenStackTempAuth = {
  /** Tells the kinds apart. */
  readonly type: 'tempauth';
  /** Mostly `account:user`. */
  readonly user: string;
  /** Sent to the address of the option `authUrl` alone. */
  readonly key: string;
};

/** Who calls. */
export type OpenStackCredentials =
  | OpenStackPassword
  | OpenStackApplicationCredential
  | OpenStackToken
  | OpenStackTempAuth;

/** Those that Keystone knows. */
export type KeystoneCredentials = Exclude<OpenStackCredentials, OpenStackTempAuth>;

const text = z.string().min(1);
const headerText = z.string().regex(/^[\x20-\x7e]+$/, 'not printable ASCII');
const domain = z.union([strictOptions({ id: text }), strictOptions({ name: text })]);
const owned = z.union([
  strictOptions({ id: text }),
  strictOptions({ name: text, domain: domain.exactOptional() }),
]);

/** Checks credentials. */
export const CREDENTIALS: z.ZodType<OpenStackCredentials> = z.discriminatedUnion('type', [
  strictOptions({ type: z.literal('password'), user: owned, password: text, project: owned }),
  strictOptions({ type: z.literal('application-credential'), id: text, secret: text }),
  strictOptions({ type: z.literal('token'), token: text, project: owned.exactOptional() }),
  strictOptions({ type: z.literal('tempauth'), user: headerText, key: headerText }),
]);

/** The one value that nobody else may learn. */
export function secretOf(credentials: OpenStackCredentials): string {
  switch (credentials.type) {
    case 'password':
      return credentials.password;
    case 'application-credential':
      return credentials.secret;
    case 'token':
      return credentials.token;
    case 'tempauth':
      return credentials.key;
    default:
      return credentials satisfies never;
  }
}

/** What Keystone is asked for a token with. */
export function authenticationOf(credentials: KeystoneCredentials): JsonObject {
  switch (credentials.type) {
    case 'password': {
      const user = { ...reference(credentials.user), password: credentials.password };
      return authentication('password', { user }, credentials.project);
    }
    case 'application-credential':
      return authentication('application_credential', { id: credentials.id, secret: credentials.secret });
    case 'token':
      return authentication('token', { id: credentials.token }, credentials.project);
    default:
      return credentials satisfies never;
  }
}

function authentication(method: string, how: JsonObject, project?: OpenStackOwned): JsonObject {
  const scope = project === undefined ? {} : { scope: { project: reference(project) } };
  return { auth: { identity: { methods: [method], [method]: how }, ...scope } };
}

function reference(owned: OpenStackOwned): JsonObject {
  if ('id' in owned) return { id: owned.id };
  return { name: owned.name, domain: owned.domain ?? { id: 'default' } };
}
