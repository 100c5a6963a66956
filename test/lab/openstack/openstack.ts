import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A user with the role `member` in a project; both are in the domain `default`. */
export type Account = { readonly user: string; readonly password: string; readonly project: string };

/** The lab's services and who may use them. */
export type OpenStack = {
  /** Keystone. */
  readonly authUrl: string;
  /** Where all services are. */
  readonly region: string;
  /** Where Cinder alone is. */
  readonly sparseRegion: string;
  /** A network that routers can have as their gateway. */
  readonly externalNetwork: string;
  /** Two projects that know nothing of each other. */
  readonly sites: { readonly a: Account; readonly b: Account };
  /** May do everything. */
  readonly admin: Account;
  /** The folder where volumes of the type `file` are, as `volume-<id>`, and their snapshots, as `snapshot-<id>`. */
  readonly files: string;
  /** Where volumes of the type `rbd` are; missing where the Ceph lab was not up. */
  readonly rbd?: {
    readonly pool: string;
    readonly user: string;
    readonly keyring: string;
    readonly monitors: readonly string[];
  };
  /** A cloud that is like this one and knows nothing of it; missing where it is not up. */
  readonly other?: OpenStack;
};

/** The lab's OpenStack, or why there is none and how to get one. */
export type OpenStackLab =
  | { readonly openstack: OpenStack; readonly skipped?: undefined }
  | { readonly openstack?: undefined; readonly skipped: string };

/** Tells whether the OpenStack lab is to be used. */
export function openStackLab(): OpenStackLab {
  const settings = process.env.FAFNIR_LAB_OPENSTACK ?? '';
  if (settings !== '') {
    const other = `${dirname(settings)}-other/openstack.json`;
    return { openstack: { ...read(settings), ...(existsSync(other) && { other: read(other) }) } };
  }
  return {
    skipped: 'FAFNIR_LAB_OPENSTACK is not set; run `npm run lab:openstack` as root and export what it prints',
  };
}

const read = (settings: string): OpenStack => JSON.parse(readFileSync(settings, 'utf8'));
