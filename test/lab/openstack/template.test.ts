import { randomBytes, randomUUID } from 'node:crypto';
import { open as openFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { cinderArray } from '../../../src/arrays/cinder.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import { download } from '../../../src/clients/openstack/download.ts';
import type { OpenStackClient, OpenStackService } from '../../../src/clients/openstack/index.ts';
import type { JsonObject, VolumeSource } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources, uploadTemplate } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';

const { openstack, skipped } = openStackLab();
// The services share few cores with others.
const MINUTES = 20 * 60_000;
const MEBIBYTE = 1024 ** 2;
const GIBIBYTE = 1024 ** 3;
const live = { signal: new AbortController().signal };
const SERVER = 'OS::Nova::Server';
const VOLUME = 'OS::Cinder::Volume';

if (openstack === undefined)
  describe.skip(`templates of OpenStack (${skipped})`, () => test('needs the lab', () => undefined));
else describe('templates of OpenStack', () => suite(openstack));

function suite(lab: OpenStack): void {
  let project: Project;
  let volume: string;
  let flavor: string;
  beforeAll(async () => {
    project = await newProject(lab);
    const { volumes, compute, make, send, idOf } = project;
    const body = { volume: { name: 'root', size: 1, volume_type: 'file' } };
    volume = await make(volumes, 'volumes', body, 'available');
    // Nova lets go of it some time after its server is gone.
    project.atEnd(async () => {
      const path = ['volumes', volume];
      const wait = { path, member: 'volume', until: ['available'], milliseconds: MINUTES };
      await volumes.waitFor(wait, live);
    });
    const act = (action: JsonObject) => send(volumes, 'POST', ['volumes', volume, 'action'], action);
    await act({ 'os-set_bootable': { bootable: true } });
    const metadata = { hw_disk_bus: 'scsi', os_distro: 'debian', min_ram: '64', checksum: 'of another file' };
    await act({ 'os-set_image_metadata': { metadata } });
    await using file = await openFile(join(lab.files, `volume-${volume}`), 'r+');
    for (const offset of [0, 300 * MEBIBYTE + 77, GIBIBYTE - MEBIBYTE])
      await file.write(randomBytes(MEBIBYTE), 0, MEBIBYTE, offset);
    await file.sync();
    flavor = await idOf(compute, 'flavors', 'small');
  }, MINUTES);
  afterAll(() => project.end(), MINUTES);

  const imagesIn = async (): Promise<readonly string[]> => {
    const item = z.looseObject({ id: z.string(), owner: z.string().nullish() });
    const place = { path: ['images'], collection: 'images', query: { visibility: 'private' } };
    const found: string[] = [];
    for await (const { id, owner } of project.images.list({ ...place, item }, live)) {
      if (owner === project.id) found.push(id);
    }
    return found;
  };
  const removeAtEnd = (image: string): void =>
    project.atEnd(async () => {
      const request = { method: 'DELETE', path: ['images', image], answer: z.unknown() } as const;
      await project.images.request(request, live);
    });

  test(
    'a protected server becomes an image, byte for byte, from which a server starts',
    async () => {
      const { client, compute, images, make, send } = project;
      const server = await make(
        compute,
        'servers',
        {
          server: {
            name: 'shop',
            flavorRef: flavor,
            networks: 'none',
            block_device_mapping_v2: [
              { boot_index: 0, uuid: volume, source_type: 'volume', destination_type: 'volume' },
            ],
          },
        },
        'ACTIVE',
      );
      const paths = [{ kind: 'files', folder: lab.files }] as const;
      const provider = defineProvider({
        name: 'site-a',
        site: 'a',
        parts: [
          {
            contract: 1,
            name: 'openstack',
            protectables: openStackResources({ client }),
            arrays: [cinderArray({ name: 'cinder', client, volumeType: 'file', paths })],
          },
        ],
        strategies: [volumeSnapshot()],
        banks: [{ bank: memoryBank({ name: 'bank' }), keys: memoryKeys(), role: 'primary' }],
      });
      await using engine = await createEngine({ store: memoryStore(), providers: [provider] });
      const acme = engine.for({ tenant: 'acme', actor: 'test' });
      const resources = [{ type: SERVER, id: server }];
      const plan = await acme.plans.create({ name: 'shop', provider: 'site-a', resources });
      const { checkpoint } = await (await acme.protect(plan.id)).result();
      // The snapshot that the next one is compared with would keep the volume.
      await using _snapshot = {
        [Symbol.asyncDispose]: async () => void (await (await acme.remove(checkpoint)).result()),
      };

      const { artifacts } = await acme.checkpoints.get(checkpoint);
      const root = artifacts.find(({ resource }) => resource.type === VOLUME && resource.id === volume);
      if (root === undefined) throw new Error('the volume was not protected');
      await using source = await acme.checkpoints.open(checkpoint, { array: 'cinder', id: volume });
      const options = { client, name: 'shop', token: checkpoint, volume: root.description };

      await expect(uploadTemplate(breaking(source), options)).rejects.toMatchObject({ code: 'CORRUPT' });
      const changed = { ...options, client: changing(client) };
      await expect(uploadTemplate(source, changed)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
      const data = { ...root.description, bootable: 'false' };
      await expect(uploadTemplate(source, { ...options, volume: data })).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
      const locked = { ...root.description, encrypted: true };
      await expect(uploadTemplate(source, { ...options, volume: locked })).rejects.toMatchObject({
        code: 'UNSUPPORTED',
      });
      expect(await imagesIn()).toEqual([]);

      const { image } = await uploadTemplate(source, options);
      removeAtEnd(image);
      expect((await uploadTemplate(source, options)).image).toBe(image);
      expect(await imagesIn()).toEqual([image]);
      const facts = await send(images, 'GET', ['images', image]);
      expect(facts).toMatchObject({
        name: 'shop',
        disk_format: 'raw',
        container_format: 'bare',
        min_disk: 1,
      });
      expect(facts).toMatchObject({ min_ram: 64, hw_disk_bus: 'scsi', os_distro: 'debian' });
      expect(facts).not.toMatchObject({ checksum: 'of another file' });
      const bytes: Uint8Array[] = [];
      for await (const piece of download(images, { path: ['images', image, 'file'] }, live))
        bytes.push(piece);
      const original = await readFile(join(lab.files, `volume-${volume}`));
      expect(Buffer.concat(bytes).equals(original)).toBe(true);

      await make(
        compute,
        'servers',
        {
          server: {
            name: `from-template-${randomUUID().slice(0, 8)}`,
            flavorRef: flavor,
            imageRef: image,
            networks: 'none',
          },
        },
        'ACTIVE',
      );
    },
    MINUTES,
  );
}

/** A source that is found to be damaged beyond its first half. */
const breaking = (source: VolumeSource): VolumeSource => ({
  size: source.size,
  access: source.access,
  extents: (call) => source.extents(call),
  readInto: async (offset, into, call) => {
    if (offset > source.size / 2) throw new FafnirError('CORRUPT', 'a chunk does not match its id');
    await source.readInto(offset, into, call);
  },
  close: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
});

/** A client whose connection changes a bit on the way up, which no cloud does when asked to. */
function changing(client: OpenStackClient): OpenStackClient {
  const changed = (service: OpenStackService): OpenStackService => ({
    type: service.type,
    endpoint: (call) => service.endpoint(call),
    microversion: (call) => service.microversion(call),
    request: (request, call) => service.request(request, call),
    transfer: (transfer, receive, call) => {
      const { body } = transfer;
      if (body === undefined || !('open' in body)) return service.transfer(transfer, receive, call);
      const stream = { size: body.size, open: () => flipped(body.open()) };
      return service.transfer({ ...transfer, body: stream }, receive, call);
    },
    list: (list, call) => service.list(list, call),
    waitFor: (wait, call) => service.waitFor(wait, call),
    waitUntilGone: (wait, call) => service.waitUntilGone(wait, call),
  });
  return {
    scope: (call) => client.scope(call),
    service: (type, microversions) => changed(client.service(type, microversions)),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function* flipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const piece of pieces) {
    const bytes = Uint8Array.from(piece);
    if (isFirst) bytes[1_000] = (bytes[1_000] ?? 0) ^ 1;
    isFirst = false;
    yield bytes;
  }
}
