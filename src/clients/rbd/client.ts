import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import { type DiffHead, type DiffRun, parseDiff, writeDiff } from './diff.ts';
import { jsonRecords } from './json-records.ts';
import { checkImageName, checkSnapshotName, isRbdName } from './names.ts';
import { feedRbd, type RbdAccess, type RbdRun, rbdBytes, runRbd } from './run.ts';

/** How long a run of `rbd` may take, in milliseconds. */
export interface RbdDeadlines {
  /** One that looks or changes a record; also the longest silence of one that prints data. */
  readonly short: number;
  /** One that moves data inside the cluster: flatten, rollback, removal of an image. */
  readonly long: number;
}

/** Images that are asked for themselves at once. */
const IMAGES_AT_ONCE = 4;

const imageSchema: z.ZodType<RbdImage> = z.object({
  size: z.int().nonnegative(),
  parent: z.object({ image: z.string(), snapshot: z.string() }).exactOptional(),
});
const snapshotSchema = z.object({
  id: z.int().nonnegative(),
  name: z.string(),
  size: z.int().nonnegative(),
  timestamp: z.string(),
});
const keptSchema = z.object({
  name: z.string(),
  namespace: z.object({ type: z.string(), original_name: z.string().exactOptional() }).exactOptional(),
});
const childSchema = z.object({ pool: z.string(), image: z.string() });
const poolEntrySchema = z.object({
  image: z.string(),
  snapshot: z.string().exactOptional(),
  snapshot_id: z.int().nonnegative().exactOptional(),
  size: z.int().nonnegative(),
});

/** What is known of an image. */
export interface RbdImage {
  /** Bytes. */
  readonly size: number;
  /** What it shares bytes with. */
  readonly parent?: {
    /** The image. */
    readonly image: string;
    /** Its snapshot. */
    readonly snapshot: string;
  };
}

/** A snapshot of an image. */
export interface RbdSnapshot {
  /** Never given twice in a pool. */
  readonly id: number;
  /** Unique in its image. */
  readonly name: string;
  /** Bytes of the image at that instant. */
  readonly size: number;
  /** By the cluster's clock, to the second. */
  readonly takenAt: Date;
}

/** A snapshot somewhere in the pool. */
export interface RbdPoolSnapshot extends Omit<RbdSnapshot, 'takenAt'> {
  /** Its image. */
  readonly image: string;
}

/**
 * A pool by the `rbd` command line: one short child process a call, without a shell. Names are checked, so that none is
 * taken for an option or for another image. Errors are those of {@link rbdError}.
 */
export class RbdClient {
  readonly #access: RbdAccess;
  readonly #deadlines: RbdDeadlines;

  constructor(access: RbdAccess, deadlines: RbdDeadlines) {
    this.#access = access;
    this.#deadlines = deadlines;
  }

  /**
   * All snapshots that users made of the pool's images, in no order; one process, however many images. One that is removed
   * meanwhile ends that process for all of them: then each is asked for its own.
   */
  async *poolSnapshots(call: CallOptions): AsyncGenerator<RbdPoolSnapshot, void, undefined> {
    const { pool } = this.#access;
    const run = this.#run(`cannot list pool ${pool}`, call);
    const output = rbdBytes(this.#access, ['ls', '--long', '--format', 'json', pool], run);
    const told = new Set<number>();
    try {
      for await (const record of jsonRecords(output)) {
        const { image, snapshot: name, snapshot_id: id, size } = checked(poolEntrySchema, record, run.what);
        if (name === undefined || id === undefined) continue;
        told.add(id);
        yield { image, id, name, size };
      }
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      for await (const snapshot of this.#eachSnapshot(call)) if (!told.has(snapshot.id)) yield snapshot;
    }
  }

  async *#eachSnapshot(call: CallOptions): AsyncGenerator<RbdPoolSnapshot, void, undefined> {
    const { pool } = this.#access;
    const images = await this.#json(z.array(z.string()), ['ls', pool], `cannot list pool ${pool}`, call);
    const named = images.filter(isRbdName);
    const snapshotsOf = async (image: string, _: number, signal: AbortSignal): Promise<RbdPoolSnapshot[]> =>
      (await this.snapshots(image, { signal })).map((one) => ({ ...one, image }));
    for (let at = 0; at < named.length; at += IMAGES_AT_ONCE) {
      const some = named.slice(at, at + IMAGES_AT_ONCE);
      const found = await mapSettled(some, snapshotsOf, { concurrency: IMAGES_AT_ONCE, ...call });
      yield* found.flat();
    }
  }

  /** The snapshots that users made of an image; none where there is no image. */
  async snapshots(image: string, call: CallOptions): Promise<readonly RbdSnapshot[]> {
    const what = `cannot list snapshots of ${image}`;
    try {
      const found = await this.#json(z.array(snapshotSchema), ['snap', 'ls', this.#image(image)], what, call);
      return found.map(({ timestamp, ...snapshot }) => ({ ...snapshot, takenAt: dateOf(timestamp, what) }));
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return [];
      throw error;
    }
  }

  /** The image, or `NOT_FOUND`. */
  async image(image: string, call: CallOptions): Promise<RbdImage> {
    return await this.#json(imageSchema, ['info', this.#image(image)], `cannot open image ${image}`, call);
  }

  /** Makes an image that reads as zeros. */
  async create(image: string, size: number, call: CallOptions): Promise<void> {
    const parameters = ['create', '--size', `${size}B`, this.#image(image)];
    await this.#do(parameters, this.#run(`cannot create image ${image}`, call));
  }

  /** Removes an image; one that has snapshots is `BUSY`. */
  async remove(image: string, call: CallOptions): Promise<void> {
    await this.#do(['rm', this.#image(image)], this.#longRun(`cannot remove image ${image}`, call));
  }

  /** Snapshots an image. */
  async createSnapshot(image: string, name: string, call: CallOptions): Promise<void> {
    const run = this.#run(`cannot snapshot image ${image}`, call);
    await this.#do(['snap', 'create', this.#snapshot(image, name)], run);
  }

  /** Gives a snapshot another name. */
  async renameSnapshot(image: string, from: string, to: string, call: CallOptions): Promise<void> {
    const parameters = ['snap', 'rename', this.#snapshot(image, from), this.#snapshot(image, to)];
    await this.#do(parameters, this.#run(`cannot rename snapshot ${from} of image ${image}`, call));
  }

  /** Removes a snapshot; one with clones of version 2 only hides until they are gone. */
  async removeSnapshot(image: string, name: string, call: CallOptions): Promise<void> {
    const run = this.#run(`cannot remove snapshot ${name} of image ${image}`, call);
    await this.#do(['snap', 'rm', this.#snapshot(image, name)], run);
  }

  /** Makes an image the snapshot's bytes again. */
  async rollBack(image: string, name: string, call: CallOptions): Promise<void> {
    const run = this.#longRun(`cannot roll image ${image} back to ${name}`, call);
    await this.#do(['snap', 'rollback', this.#snapshot(image, name)], run);
  }

  /** Makes an image that shares the snapshot's bytes; version 2 needs no protected snapshot. */
  async clone(image: string, name: string, clone: string, call: CallOptions): Promise<void> {
    const ends = [this.#snapshot(image, name), this.#image(clone)];
    const run = this.#run(`cannot clone snapshot ${name} of image ${image}`, call);
    await this.#do(['clone', '--rbd-default-clone-format', '2', ...ends], run);
  }

  /** Gives a clone bytes of its own. */
  async flatten(clone: string, call: CallOptions): Promise<void> {
    await this.#do(['flatten', this.#image(clone)], this.#longRun(`cannot flatten image ${clone}`, call));
  }

  /** What keeps an image from being removed, for people: its snapshots, also those that clones keep, and its clones. */
  async keepers(image: string, call: CallOptions): Promise<readonly string[]> {
    const what = `cannot tell what needs image ${image}`;
    const [kept, children] = await Promise.all([
      this.#json(z.array(keptSchema), ['snap', 'ls', '--all', this.#image(image)], what, call),
      this.#json(z.array(childSchema), ['children', '--all', this.#image(image)], what, call),
    ]);
    return [
      ...kept.map(({ name, namespace: { type, original_name: removed } = { type: 'user' } }) =>
        removed === undefined
          ? `snapshot ${name} (${type})`
          : `snapshot ${removed} (removed, kept for clones)`,
      ),
      ...children.map(({ pool, image: child }) => `clone ${pool}/${child}`),
    ];
  }

  /** What is in a snapshot, or what changed in it since an older one. */
  exportDiff(
    image: string,
    head: DiffHead & { readonly to: string },
    call: CallOptions,
  ): AsyncIterable<DiffRun> {
    const { from, to } = head;
    if (from !== undefined) checkSnapshotName(from);
    const since = from === undefined ? [] : ['--from-snap', from];
    const parameters = ['export-diff', '--no-progress', ...since, this.#snapshot(image, to), '-'];
    return parseDiff(
      rbdBytes(this.#access, parameters, this.#run(`cannot read snapshot ${to} of image ${image}`, call)),
      head,
    );
  }

  /** Writes runs of bytes into an image of this size; all of them survive a power loss when it resolves. */
  async importDiff(
    image: string,
    size: number,
    runs: AsyncIterable<DiffRun>,
    call: CallOptions,
  ): Promise<void> {
    const parameters = ['import-diff', '--no-progress', '-', this.#image(image)];
    const run = this.#run(`cannot write image ${image}`, call);
    await feedRbd(this.#access, parameters, writeDiff({ size }, runs), run);
  }

  async #do(parameters: readonly string[], run: RbdRun): Promise<void> {
    await runRbd(this.#access, parameters, run);
  }

  async #json<Answer>(
    schema: z.ZodType<Answer>,
    parameters: readonly string[],
    what: string,
    call: CallOptions,
  ): Promise<Answer> {
    const text = await runRbd(this.#access, [...parameters, '--format', 'json'], this.#run(what, call));
    try {
      return checked(schema, JSON.parse(text), what);
    } catch (error) {
      throw FafnirError.from(error, 'WRONG_ANSWER', what);
    }
  }

  #image(image: string): string {
    checkImageName(image);
    return `${this.#access.pool}/${image}`;
  }

  #snapshot(image: string, name: string): string {
    checkSnapshotName(name);
    return `${this.#image(image)}@${name}`;
  }

  #run(what: string, { signal }: CallOptions): RbdRun {
    return { what, signal, timeout: this.#deadlines.short };
  }

  #longRun(what: string, { signal }: CallOptions): RbdRun {
    return { what, signal, timeout: this.#deadlines.long };
  }
}

function checked<Answer>(schema: z.ZodType<Answer>, value: unknown, what: string): Answer {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new FafnirError('WRONG_ANSWER', `${what}: rbd answered otherwise than expected`, {
    cause: parsed.error,
  });
}

/** What C's `ctime` prints, in UTC, as {@link RBD_ENVIRONMENT} asks for. */
function dateOf(timestamp: string, what: string): Date {
  const date = new Date(`${timestamp} UTC`);
  if (!Number.isNaN(date.valueOf())) return date;
  throw new FafnirError('WRONG_ANSWER', `${what}: not a time: ${timestamp}`);
}
