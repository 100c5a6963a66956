import { FafnirError } from '../../core/errors.ts';

/** Bytes at the start of a volume that tell an overlay. */
export const OVERLAY_HEAD = 16;

const MAGIC = Buffer.from('QFI\u00fb', 'latin1');

/**
 * Refuses the file of a snapshot or volume that is no volume but a qcow2 file above another one, as drivers of shared
 * file systems make them: its bytes are neither the volume's nor complete. A qcow2 file that a user wrote to the volume
 * stands alone.
 */
export function refuseOverlay(name: string, head: Uint8Array): void {
  const view = Buffer.from(head.buffer, head.byteOffset, head.length);
  const isQcow = view.length >= OVERLAY_HEAD && view.subarray(0, MAGIC.length).equals(MAGIC);
  if (!isQcow || view.readBigUInt64BE(8) === 0n) return;
  throw new FafnirError(
    'UNSUPPORTED',
    `${name} is an overlay above another file, and not the bytes of a volume`,
    {
      hint: 'Its backend keeps snapshots in files that stand on each other, as NFS does; protect such volumes by backups.',
    },
  );
}
