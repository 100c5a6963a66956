import * as z from 'zod';
import type { Gap, Protectable, Quiescing, Resource } from '../../contracts/index.ts';
import { checkOwn } from '../../graph/answers.ts';
import { pluginOf } from '../plugin.ts';
import { answerOf, jsonUpTo, type Refuse, refusalOf, volumeRef } from './answers.ts';

// What a step of a job may come to.
const LONGEST_DESCRIPTION = 256 * 1024;
const LONGEST_FACTS = 64 * 1024;
const MOST_WAYS = 64;
const MOST_GAPS = 10_000;
const LONGEST_REASON = 1_000;

const description = jsonUpTo(LONGEST_DESCRIPTION);
const facts = jsonUpTo(LONGEST_FACTS);
const ways = z.array(volumeRef).max(MOST_WAYS);
const gapsAmong = (asked: number): z.ZodType<readonly Gap[]> =>
  z
    .array(z.object({ at: z.int().nonnegative().lt(asked), reason: z.string().min(1).max(LONGEST_REASON) }))
    .max(MOST_GAPS);

/**
 * A Protectable whose answers are looked at: what cannot be true is `WRONG_ANSWER`. Those that a graph is built of are
 * looked at where that is done.
 */
export function checkedProtectable(protectable: Protectable): Protectable {
  const { type, quiescing } = protectable;
  const gaps = protectable.gaps?.bind(protectable);
  const probe = protectable.probe?.bind(protectable);
  const volumes = protectable.volumes?.bind(protectable);
  const refuse = refusalOf(`the plugin for ${type}`);
  return pluginOf<Protectable>({
    contract: protectable.contract,
    type,
    groupsVolumes: protectable.groupsVolumes,
    renames: protectable.renames,
    clones: protectable.clones,
    joined: protectable.joined,
    maps: protectable.maps,
    quiescing: quiescing && checkedQuiescing(quiescing, refuse),
    list: (call) => protectable.list(call),
    find: (ids, call) => protectable.find(ids, call),
    dependencies: (resources, call) => protectable.dependencies(resources, call),
    capture: async (resource, call) =>
      answerOf(
        refuse,
        `the description of ${resource.id}`,
        description,
        await protectable.capture(resource, call),
      ),
    create: async (wanted, request, call): Promise<Resource> => {
      const made = await protectable.create(wanted, request, call);
      checkOwn(made, type);
      return made;
    },
    connect: (resource, request, call) => protectable.connect(resource, request, call),
    remove: (request, call) => protectable.remove(request, call),
    gaps:
      gaps &&
      (async (requests, call) =>
        answerOf(refuse, 'the gaps', gapsAmong(requests.length), await gaps(requests, call))),
    probe: probe && ((resource, request, call) => probe(resource, request, call)),
    volumes:
      volumes &&
      (async (resource, call) =>
        answerOf(refuse, `the volumes of ${resource.id}`, ways, await volumes(resource, call))),
  });
}

const checkedQuiescing = (quiescing: Quiescing, refuse: Refuse): Quiescing =>
  pluginOf<Quiescing>({
    quiesce: async (resource, pause, call) =>
      answerOf(
        refuse,
        `what it says of the pause of ${resource.id}`,
        facts,
        await quiescing.quiesce(resource, pause, call),
      ),
    unquiesce: (token, call) => quiescing.unquiesce(token, call),
  });
