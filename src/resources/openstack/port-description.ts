import * as z from 'zod';

/** What is kept of a port. */
export type PortDescription = {
  readonly name: string;
  readonly description: string;
  readonly network_id: string;
  /** Such as `compute:nova`; '' where the port is free. */
  readonly device_owner?: string | undefined;
  readonly admin_state_up: boolean;
  readonly mac_address: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
  readonly security_groups: readonly string[];
  readonly allowed_address_pairs: readonly {
    readonly ip_address: string;
    readonly mac_address?: string | undefined;
  }[];
  readonly extra_dhcp_opts: readonly {
    readonly opt_name: string;
    readonly opt_value: string;
    readonly ip_version?: number | undefined;
  }[];
  readonly port_security_enabled?: boolean | undefined;
  readonly 'binding:vnic_type'?: string | undefined;
  readonly dns_name?: string | null | undefined;
  readonly tags: readonly string[];
};

const texts = z.array(z.string()).default([]);

/** A port as it is kept. */
export const PORT_DESCRIPTION: z.ZodType<PortDescription> = z.object({
  name: z.string(),
  description: z.string().default(''),
  network_id: z.string(),
  device_owner: z.string().optional(),
  admin_state_up: z.boolean(),
  mac_address: z.string(),
  fixed_ips: z.array(z.object({ subnet_id: z.string(), ip_address: z.string() })).default([]),
  security_groups: texts,
  allowed_address_pairs: z
    .array(z.object({ ip_address: z.string(), mac_address: z.string().optional() }))
    .default([]),
  extra_dhcp_opts: z
    .array(z.object({ opt_name: z.string(), opt_value: z.string(), ip_version: z.int().optional() }))
    .default([]),
  port_security_enabled: z.boolean().optional(),
  'binding:vnic_type': z.string().optional(),
  dns_name: z.string().nullish(),
  tags: texts,
});
