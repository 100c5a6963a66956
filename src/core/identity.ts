import { randomBytes } from 'node:crypto';
import type { CheckpointId, JobId, PlanId, ScheduleId, TenantId } from './contracts/index.ts';
import { FafnirError } from './errors.ts';

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/;

/** True for what has the form of an id: 1 to 120 of A-Z a-z 0-9 . _ - that begin with a letter or digit. */
export function isId(text: unknown): boolean {
  return typeof text === 'string' && ID.test(text);
}

function parseId(kind: string, text: string): string {
  if (isId(text)) return text;
  throw new FafnirError(
    'INVALID_ID',
    `not a ${kind} id: ${typeof text === 'string' ? JSON.stringify(text.slice(0, 128)) : typeof text}`,
  );
}

/** A string from outside as a tenant id, or `INVALID_ID`. */
export const parseTenantId = (text: string): TenantId => parseId('tenant', text) as TenantId;
/** A string from outside as a plan id, or `INVALID_ID`. */
export const parsePlanId = (text: string): PlanId => parseId('plan', text) as PlanId;
/** A string from outside as a checkpoint id, or `INVALID_ID`. */
export const parseCheckpointId = (text: string): CheckpointId => parseId('checkpoint', text) as CheckpointId;
/** A string from outside as a job id, or `INVALID_ID`. */
export const parseJobId = (text: string): JobId => parseId('job', text) as JobId;

/** A string from outside as a schedule id, or `INVALID_ID`. */
export const parseScheduleId = (text: string): ScheduleId => parseId('schedule', text) as ScheduleId;

/** A source of ids: each sorts after those made in earlier milliseconds, and none is made twice. */
export type IdSource = (now: number) => string;

/** 12 hexadecimal digits of time and 20 of chance. */
export const randomIds: IdSource = (now) =>
  now.toString(16).padStart(12, '0') + randomBytes(10).toString('hex');

/** Parts as one text that tells them apart, whatever they hold: joined by slashes, which are escaped inside them. */
export function joinParts(...parts: readonly string[]): string {
  const [first = '', ...rest] = parts;
  let text = escaped(first);
  // Of large graphs, every step of every resource is named by this.
  for (const part of rest) text += `/${escaped(part)}`;
  return text;
}

const escaped = (part: string): string =>
  part.includes('%') || part.includes('/') ? part.replace(/[%/]/g, encodeURIComponent) : part;

/** The parts of what {@link joinParts} made. */
export const splitParts = (text: string): readonly string[] => text.split('/').map(decodeURIComponent);

const INSTALLATION = /^[a-f0-9]{12}$/;

/** A new id for the data of a job store. */
export const newInstallation = (): string => randomBytes(6).toString('hex');

/** True for what has the form of an installation's id. */
export const isInstallation = (text: string): boolean => INSTALLATION.test(text);
