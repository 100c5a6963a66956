import type { Protectable, Resource } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { local } from '../../src/providers/local.ts';
import type { ProtectableFixture } from '../../src/testing/protectable-suite.ts';
import { temporaryDirectory, writeShop } from '../core/engine/application.ts';

/** What is wrong with a plugin. */
export type Break = (sound: Protectable) => Partial<Protectable>;

/** A fresh shop whose plugin for volumes breaks its contract so. */
export async function brokenFixture(change: Break): Promise<ProtectableFixture> {
  const directory = await temporaryDirectory();
  await writeShop(directory.path);
  const { protectables = [] } = local({ root: directory.path });
  const sound = protectables.find(({ type }) => type === 'Local::Volume');
  if (sound === undefined) throw new Error('there is no plugin for volumes');
  const roles = { gaps: async () => [], probe: probeOf(sound) };
  const protectable = { ...sound, ...roles, ...change({ ...sound, ...roles }) };
  const resource = { type: sound.type, id: 'db-data' };
  return { protectable, resource, dispose: async () => await directory[Symbol.asyncDispose]() };
}

const probeOf =
  (sound: Protectable): NonNullable<Protectable['probe']> =>
  async ({ type, id }, _request, call) => {
    const found = await sound.find([id], call);
    if (found.length === 0) throw new FafnirError('NOT_FOUND', `no ${type} ${id}`);
  };

/** Says of everything that it serves. */
export const trusting: Break = () => ({ probe: async () => undefined });

/** Is never content. */
export const anxious: Break = () => ({
  async probe(): Promise<never> {
    throw new FafnirError('NOT_FOUND', 'nobody is there');
  },
});

/** Removes what it is to look at. */
export const clumsy: Break = (sound) => ({
  async probe(resource, request, call) {
    await sound.probe?.(resource, request, call);
    await sound.remove(request, call);
  },
});

/** Lists everything twice. */
export const stuttering: Break = (sound) => ({
  async *list(call) {
    yield* sound.list(call);
    yield* sound.list(call);
  },
});

/** Says that there is whatever it is asked for. */
export const eager: Break = ({ type }) => ({
  find: async (ids) => ids.map((id): Resource => ({ type, id, name: id, attributes: {} })),
});

/** Says nothing of what is gone. */
export const silent: Break = (sound) => ({
  async dependencies(resources, call) {
    return { ...(await sound.dependencies(resources, call)), failures: [] };
  },
});

/** Describes what is gone as empty. */
export const inventive: Break = (sound) => ({
  async capture(resource, call) {
    try {
      return await sound.capture(resource, call);
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return {};
      throw error;
    }
  },
});

const TOKEN = 'fedcba9876543210fedcba9876543210';

/** Makes another one for each call. */
export const forgetful: Break = (sound) => {
  let made = 0;
  return {
    create: (description, request, call) => {
      made += 1;
      const token = made.toString(16).padStart(32, '0');
      return sound.create(description, { ...request, token }, call);
    },
  };
};

/** Makes one for all tokens. */
export const sharing: Break = (sound) => ({
  create: (description, request, call) => sound.create(description, { ...request, token: TOKEN }, call),
  connect: (resource, request, call) => sound.connect(resource, { ...request, token: TOKEN }, call),
  remove: (_, call) => sound.remove({ token: TOKEN }, call),
});

/** Removes nothing. */
export const keeping: Break = () => ({ remove: async () => undefined });

/** Makes what has no metadata. */
export const losing: Break = (sound) => ({
  create: (description, request, call) => sound.create({ ...description, metadata: {} }, request, call),
});

/** Takes anything for a description. */
export const lenient: Break = (sound) => ({
  create: (description, request, call) =>
    sound.create({ size: 1, ...description, id: 'any', name: 'any' }, request, call),
});

/** Does not hear that the caller is gone. */
export const deaf: Break = (sound) => {
  const call = { signal: new AbortController().signal };
  return {
    find: (ids) => sound.find(ids, call),
    create: (description, request) => sound.create(description, request, call),
  };
};

/** Gives the name that the original has. */
export const stubborn: Break = (sound) => ({
  create: (description, { name: _, ...request }, call) => sound.create(description, request, call),
});

/** Finds something wrong everywhere. */
export const gloomy: Break = () => ({
  gaps: async (requests) => requests.map((_, at) => ({ at, reason: 'no' })),
});

/** Tells of another size when it is asked again. */
export const growing: Break = (sound) => {
  let size = 1;
  return {
    async volumes(resource, call) {
      size += 1;
      return ((await sound.volumes?.(resource, call)) ?? []).map((one) => ({ ...one, size }));
    },
  };
};
