import { checkImageName } from './names.ts';
import type { RbdAccess } from './run.ts';

/** An image of a pool as QEMU names it; has no secret, for the key is in a file. */
export function qemuImage({ pool, user, conf, monitors, keyring }: RbdAccess, image: string): string {
  checkImageName(image);
  const file = conf ?? (monitors === undefined ? undefined : '/dev/null');
  const settings = { conf: file, id: user, keyring, mon_host: monitors?.join(',') };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return [
    `rbd:${escaped(pool)}/${escaped(image)}`,
    ...given.map(([name, value = '']) => `${name}=${escaped(value)}`),
  ].join(':');
}

const escaped = (text: string): string => text.replace(/[\\:=@/]/g, '\\$&');
