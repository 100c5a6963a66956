import { randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import type { ArraySnapshot, CallOptions, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import {
  discardFolder,
  goneFolder,
  idOfRest,
  inOwnFolder,
  makeFolder,
  moveFolder,
  openFile,
  removeEmpty,
  removeRests,
  syncFolder,
} from './durable.ts';
import { errnoOf, fileWork } from './file-errors.ts';
import { cloneAtOneInstant } from './instant.ts';
import { checkNewName, checkPrefix, type Layout, nameOfFolder, rawFile, volumeOfFile } from './layout.ts';
import { createLock } from '../lock.ts';
import { OpenFile } from '../../core/open-file.ts';
import type { Powers } from './powers.ts';
import { readSetRecord, type SetRecord, writeSetRecord } from './set-record.ts';
import type { Volumes } from './volumes.ts';

/** The snapshots of an array: sets that were taken together, each in a folder. */
export interface SnapshotSets {
  /** As `StorageArray.snapshot`. */
  take(
    volumes: readonly VolumeRef[],
    name: string,
    powers: Powers,
    call: CallOptions,
  ): Promise<readonly ArraySnapshot[]>;
  /** As `StorageArray.find`: those of the complete set, then what dead callers left. */
  find(name: string): Promise<readonly ArraySnapshot[]>;
  /** As `StorageArray.list`. */
  list(prefix: string, call: CallOptions): AsyncIterable<ArraySnapshot>;
  /** As `StorageArray.remove`. */
  remove(snapshot: ArraySnapshot, call: CallOptions): Promise<void>;
  /** Opens the file of a snapshot of a complete set; `NOT_FOUND` where there is none. */
  open(snapshot: ArraySnapshot): Promise<OpenFile>;
}

const reference = z.strictObject({ set: z.uuid() });

/** The sets below a layout, of the array of this name. */
export function createSnapshotSets(array: string, layout: Layout, volumes: Volumes): SnapshotSets {
  const lock = createLock();

  function snapshotsOf(name: string, record: SetRecord): ArraySnapshot[] {
    return record.volumes.map(({ id, size }) => ({
      name,
      volume: { array, id, size },
      reference: { set: record.set },
      takenAt: record.takenAt,
    }));
  }

  /** The complete set of the name, if it is of just these volumes; one of others is in the way. */
  async function findComplete(
    name: string,
    wanted: readonly VolumeRef[],
  ): Promise<readonly ArraySnapshot[] | undefined> {
    const record = await readSetRecord(layout.set(name));
    if (record === undefined) return undefined;
    const found = new Map(snapshotsOf(name, record).map((snapshot) => [snapshot.volume.id, snapshot]));
    const ordered = wanted.map(({ id }) => found.get(id)).filter((snapshot) => snapshot !== undefined);
    const sameVolumes = ordered.length === wanted.length && found.size === distinct(wanted).length;
    if (sameVolumes) return ordered;
    throw new FafnirError('ALREADY_EXISTS', `snapshot ${name} exists for other volumes`);
  }

  async function takeAnew(
    wanted: readonly VolumeRef[],
    name: string,
    powers: Powers,
    call: CallOptions,
  ): Promise<readonly ArraySnapshot[]> {
    const sources: Source[] = [];
    try {
      for (const volume of distinct(wanted)) {
        sources.push({ id: volume.id, from: await volumes.open(volume, constants.O_RDONLY) });
      }
      return await takeFrom(sources, wanted, name, powers, call);
    } finally {
      await Promise.all(sources.map(({ from }) => from.close()));
    }
  }

  async function takeFrom(
    sources: readonly Source[],
    wanted: readonly VolumeRef[],
    name: string,
    powers: Powers,
    call: CallOptions,
  ): Promise<readonly ArraySnapshot[]> {
    return await inOwnFolder(layout.partialSet(name), async (folder, set) => {
      const pairs = sources.map(({ id, from }) => ({ id, from, to: join(folder, rawFile(id)) }));
      const takenAt = await copyAll(pairs, powers, call);
      const kept = await Promise.all(pairs.map(async ({ id, to }) => ({ id, size: (await stat(to)).size })));
      const record: SetRecord = { format: 1, set, takenAt: takenAt.toISOString(), volumes: kept };
      await writeSetRecord(folder, record);
      call.signal.throwIfAborted();
      await publishSet(folder, layout.set(name));
      // Of this caller, or of one that was faster.
      const complete = await findComplete(name, wanted);
      if (complete !== undefined) return complete;
      throw new FafnirError('UNAVAILABLE', `snapshot ${name} was removed while it was taken`);
    });
  }

  /** A set that another caller completed meanwhile stays; what has no record was never complete and goes. */
  async function publishSet(from: string, to: string): Promise<void> {
    if (!(await moveFolder(from, to)) && (await readSetRecord(to)) === undefined) {
      await discardFolder(to, goneFolder(dirname(from), randomUUID()));
      await moveFolder(from, to);
    }
    await syncFolder(layout.snapshots);
  }

  /** What callers left that died, or are still at work: they can be seen and removed, and not be opened. */
  async function findPartial(name: string): Promise<ArraySnapshot[]> {
    const found: ArraySnapshot[] = [];
    const partial = layout.partialSet(name);
    for (const entry of await entriesOf(partial)) {
      const checked = reference.safeParse({ set: idOfRest(entry) });
      if (!checked.success) continue;
      for (const file of (await entriesOf(join(partial, entry))).sort()) {
        const id = volumeOfFile(file);
        const facts = id === undefined ? undefined : await factsOf(join(partial, entry, file));
        if (id === undefined || facts === undefined) continue;
        const volume = { array, id, size: facts.size };
        found.push({ name, volume, reference: checked.data, takenAt: facts.birthtime.toISOString() });
      }
    }
    return found;
  }

  async function find(name: string): Promise<readonly ArraySnapshot[]> {
    return await fileWork(`cannot find snapshot ${name}`, async () => {
      await layout.check();
      const record = await readSetRecord(layout.set(name));
      const complete = record === undefined ? [] : snapshotsOf(name, record);
      const partial = await findPartial(name);
      // A removal may have made the one into the other while this looked.
      return [...complete, ...partial.filter(({ reference }) => reference.set !== record?.set)];
    });
  }

  async function removeFromComplete({ name, volume }: ArraySnapshot, record: SetRecord): Promise<void> {
    const folder = layout.set(name);
    const rest = record.volumes.filter(({ id }) => id !== volume.id);
    if (rest.length > 0) {
      // The record first: what it does not name is not there.
      if (rest.length < record.volumes.length) await writeSetRecord(folder, { ...record, volumes: rest });
      await rm(join(folder, rawFile(volume.id)), { force: true });
      await syncFolder(folder);
    } else if (record.volumes.some(({ id }) => id === volume.id)) {
      // At once no longer complete, and still to be found should this caller die.
      const partial = layout.partialSet(name);
      await makeFolder(partial);
      await discardFolder(folder, goneFolder(partial, record.set));
      await removeEmpty(partial);
      await syncFolder(layout.snapshots);
    }
  }

  /** All of it: a part of a set that was never complete is of no use. */
  async function removePartial(name: string, set: string): Promise<void> {
    const partial = layout.partialSet(name);
    await discardFolder(join(partial, set), goneFolder(partial, set));
    await removeEmpty(partial);
  }

  return {
    find,
    async take(wanted, name, powers, call) {
      checkNewName(name);
      if (wanted.length === 0) return [];
      return await lock(name, () =>
        fileWork(`cannot take snapshot ${name}`, async () => {
          call.signal.throwIfAborted();
          await layout.prepare();
          const complete = await findComplete(name, wanted);
          if (complete === undefined) return await takeAnew(wanted, name, powers, call);
          // It may have got its name from one who died before the rest was done.
          await removeRests(layout.partialSet(name));
          await syncFolder(layout.snapshots);
          return complete;
        }),
      );
    },
    async *list(prefix, { signal }) {
      checkPrefix(prefix);
      signal.throwIfAborted();
      const folders = await fileWork('cannot list snapshots', () => foldersIn(layout.snapshots));
      const names = folders.map(nameOfFolder).filter((name) => name?.startsWith(prefix) === true);
      for (const name of [...new Set(names)].sort()) {
        signal.throwIfAborted();
        if (name !== undefined) yield* await find(name);
      }
    },
    async remove(snapshot, { signal }) {
      const { name, volume } = snapshot;
      const { set } = checkReference(snapshot, array);
      layout.volume(volume.id);
      signal.throwIfAborted();
      await lock(name, () =>
        fileWork(`cannot remove snapshot ${name} of ${volume.id}`, async () => {
          signal.throwIfAborted();
          await layout.check();
          const record = await readSetRecord(layout.set(name));
          if (record?.set === set) await removeFromComplete(snapshot, record);
          else await removePartial(name, set);
        }),
      );
    },
    async open(snapshot) {
      const { name, volume } = snapshot;
      const { set } = checkReference(snapshot, array);
      const label = `snapshot ${name} of ${volume.id}`;
      return await fileWork(`cannot open ${label}`, async () => {
        await layout.check();
        const record = await readSetRecord(layout.set(name));
        const kept = record?.set === set ? record.volumes.find(({ id }) => id === volume.id) : undefined;
        if (kept === undefined) throw new FafnirError('NOT_FOUND', `there is no ${label}`);
        const file = await openFile(join(layout.set(name), rawFile(kept.id)), constants.O_RDONLY);
        const { size } = await file.stat();
        if (size === kept.size) return new OpenFile(label, file, size);
        await file.close();
        throw new FafnirError('CORRUPT', `${label} has ${size} bytes, not ${kept.size}`);
      });
    },
  };
}

type Source = { readonly id: string; readonly from: FileHandle };
type CopyPair = { readonly from: FileHandle; readonly to: string };

async function copyAll(pairs: readonly CopyPair[], powers: Powers, call: CallOptions): Promise<Date> {
  if (powers.capabilities.group) return await cloneAtOneInstant(pairs, call);
  for (const { from, to } of pairs) await powers.copy(from, to, call);
  return new Date();
}

function checkReference(snapshot: ArraySnapshot, array: string): z.infer<typeof reference> {
  if (snapshot.volume.array !== array) {
    throw new FafnirError('UNKNOWN_ARRAY', `snapshot ${snapshot.name} is of array ${snapshot.volume.array}`);
  }
  const checked = reference.safeParse(snapshot.reference);
  if (checked.success) return checked.data;
  throw new FafnirError('INVALID_ID', `not a reference of array ${array}: snapshot ${snapshot.name}`);
}

function distinct(volumes: readonly VolumeRef[]): readonly VolumeRef[] {
  return [...new Map(volumes.map((volume) => [volume.id, volume])).values()];
}

async function entriesOf(folder: string): Promise<string[]> {
  return (await readFolder(folder)).map(({ name }) => name);
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readFolder(folder);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function readFolder(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function factsOf(path: string): Promise<{ size: number; birthtime: Date } | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
