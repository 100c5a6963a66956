import * as z from 'zod';
import type { ExternalCopies, ExternalMade, Proof, SnapshotCopy } from '../../contracts/index.ts';
import { answerOf, jsonUpTo, refusalOf, text, volumeRef } from './answers.ts';

const LONGEST_REFERENCE = 65_536;

const copy = z.object({
  kind: z.literal('external'),
  location: text,
  reference: jsonUpTo(LONGEST_REFERENCE),
  volume: volumeRef,
  takenAt: z.iso.datetime(),
  proof: z.enum(['stored', 'read-back', 'source-compared', 'restored']) satisfies z.ZodType<Proof>,
}) satisfies z.ZodType<SnapshotCopy>;

const held = z.object({ token: text, volume: text }) satisfies z.ZodType<ExternalMade>;

/** An external store whose copies are those that were asked for, or `WRONG_ANSWER`. */
export function checkedExternal(store: ExternalCopies): ExternalCopies {
  const refuse = refusalOf(`external store ${store.name}`);
  return {
    contract: 1,
    name: store.name,
    kind: 'external',
    async create(source, token, call) {
      const made = answerOf(refuse, 'a copy', copy, await store.create(source, token, call));
      const { takenAt, volume } = source.snapshot;
      const isOf =
        made.location === store.name &&
        made.reference.token === token &&
        made.takenAt === takenAt &&
        made.volume.array === volume.array &&
        made.volume.id === volume.id &&
        made.volume.size === volume.size;
      if (!isOf)
        throw refuse(`a copy that is not of the snapshot of volume ${volume.id}, or not of its token`);
      return made;
    },
    open: (copy, call) => store.open(copy, call),
    restoreInto: (copy, target, call) => store.restoreInto(copy, target, call),
    compare: (copy, target, call) => store.compare(copy, target, call),
    verify: (copy, request, call) => store.verify(copy, request, call),
    remove: (copy, call) => store.remove(copy, call),
    removeMade: (token, call) => store.removeMade(token, call),
    async *list(prefix, call) {
      for await (const one of store.list(prefix, call)) {
        const made = answerOf(refuse, 'what it holds', held, one);
        if (!made.token.startsWith(prefix))
          throw refuse(`${made.token}, which does not begin with ${prefix}`);
        yield made;
      }
    },
  };
}
