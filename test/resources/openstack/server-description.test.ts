import { describe, expect, it } from 'vitest';
import { bootVolumeOf, byDevice } from '../../../src/resources/openstack/server-description.ts';

const attachment = (volumeId: string, device: string | null) => ({
  volumeId,
  device,
  delete_on_termination: false,
});

describe('the volumes of a server', () => {
  it('are in the order of their devices', () => {
    const devices = ['/dev/vdaa', '/dev/vdb', '/dev/vdz', '/dev/vda'];
    const ordered = byDevice(devices.map((device) => attachment(device, device)));
    expect(ordered.map(({ volumeId }) => volumeId)).toEqual([
      '/dev/vda',
      '/dev/vdb',
      '/dev/vdz',
      '/dev/vdaa',
    ]);
  });

  it('begin with the one that it starts from', () => {
    const volumes = [attachment('a', '/dev/vda'), attachment('b', '/dev/vdb')];
    expect(bootVolumeOf(volumes, undefined)).toBe('a');
    expect(bootVolumeOf(volumes, '/dev/vdb')).toBe('b');
    expect(bootVolumeOf(volumes, '/dev/vdc')).toBe('a');
    expect(bootVolumeOf([], undefined)).toBeNull();
    expect(bootVolumeOf([attachment('a', null)], null)).toBe('a');
  });
});
