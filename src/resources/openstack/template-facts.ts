import type { JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { VOLUME_DESCRIPTION } from './volume-making.ts';

const GIBIBYTE = 1024 ** 3;
const NUMBER = /^\d{1,9}$/;
// What tells the hypervisor how to run the system. The rest is about the file that the volume was made of, such as its
// checksum and its signature, or would lead a server to another disk, such as `block_device_mapping`.
const RUNS = /^(hw_|os_(?!hash_|glance_)|trait:|vmware_)/;
const ALSO_RUNS = new Set([
  'architecture',
  'auto_disk_config',
  'hypervisor_type',
  'hypervisor_version_requires',
  'img_config_drive',
  'img_hide_hypervisor_id',
  'img_hv_requested_version',
  'img_hv_type',
  'kernel_id',
  'ramdisk_id',
  'vm_mode',
]);

/** What an image of a volume must say for servers to start from it: the room that they need, and how they are run. */
export function templateFacts(volume: JsonObject, size: number): JsonObject {
  const parsed = VOLUME_DESCRIPTION.safeParse(volume);
  if (!parsed.success) {
    throw new FafnirError('INVALID_OPTIONS', 'uploadTemplate: volume is not the description of a volume');
  }
  const { name, bootable, encrypted, volume_image_metadata: metadata = {} } = parsed.data;
  if (bootable !== 'true') {
    throw new FafnirError('INVALID_OPTIONS', `no server can start from volume ${name ?? ''}`, {
      hint: 'Choose the volume that the server starts from.',
    });
  }
  if (encrypted === true) {
    throw new FafnirError('UNSUPPORTED', `volume ${name ?? ''} is encrypted by Cinder`, {
      hint: 'Restore it to a volume of an encrypted type; an image would hold what nobody can read.',
    });
  }
  const { min_ram: memory = '' } = metadata;
  const runs = Object.entries(metadata).filter(([key]) => RUNS.test(key) || ALSO_RUNS.has(key));
  return {
    min_disk: Math.ceil(size / GIBIBYTE),
    min_ram: NUMBER.test(memory) ? Number(memory) : 0,
    ...Object.fromEntries(runs),
  };
}
