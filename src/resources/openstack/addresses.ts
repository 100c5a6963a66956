import { BlockList, isIP, isIPv6 } from 'node:net';

/** Whether a range has the address. */
export function isIn(address: string, cidr: string): boolean {
  const [network = '', prefix = ''] = cidr.split('/');
  const family = isIPv6(network) ? 'ipv6' : 'ipv4';
  // What is no address at all is in none.
  if (isIP(address) !== isIP(network)) return false;
  const range = new BlockList();
  range.addSubnet(network, Number(prefix), family);
  return range.check(address, family);
}
