import assert from 'node:assert/strict';
import type { JobStore } from '../core/contracts/index.ts';
import { audit } from './job-store/audit.ts';
import { closing } from './job-store/closing.ts';
import { endings } from './job-store/endings.ts';
import { handles } from './job-store/handles.ts';
import { journals } from './job-store/journals.ts';
import { leases } from './job-store/leases.ts';
import { notifications } from './job-store/notifications.ts';
import { places } from './job-store/places.ts';
import { plans } from './job-store/plans.ts';
import { postponing } from './job-store/postponing.ts';
import { quotas } from './job-store/quotas.ts';
import { queue } from './job-store/queue.ts';
import { resourceLeases } from './job-store/resource-leases.ts';
import { usage } from './job-store/usage.ts';
import { schedules } from './job-store/schedules.ts';
import { schedulePauses } from './job-store/schedule-pauses.ts';
import { templates } from './job-store/templates.ts';
import type { Suite, SuiteCase } from './suite.ts';

/** A fresh store under test. */
export interface JobStoreSubject {
  /** Empty, and used by nobody else. */
  readonly store: JobStore;
  /** Another handle on the same data, while `store` stays open; a durable store has it. The suite closes it. */
  reopen?(): Promise<JobStore>;
  /** Closes `store`, if it is open still, and removes its data. */
  dispose(): Promise<void>;
}

/** What the suite of job stores needs to know. */
export interface JobStoreSuiteOptions {
  /** The implementation. */
  readonly name: string;
  /** True where the data outlives a handle; else the cases with a second handle do not apply. */
  readonly durable: boolean;
  /** Makes a store for one case. */
  create(): Promise<JobStoreSubject>;
}

/** The obligations of a JobStore. */
export function jobStoreSuite({ name, durable, create }: JobStoreSuiteOptions): Suite {
  async function onFresh(body: (subject: JobStoreSubject) => Promise<void>): Promise<void> {
    const subject = await create();
    try {
      await body(subject);
    } finally {
      await subject.dispose();
    }
  }

  const groups = [
    queue,
    leases,
    postponing,
    resourceLeases,
    journals,
    endings,
    usage,
    places,
    plans,
    quotas,
    schedules,
    schedulePauses,
    templates,
    audit,
    notifications,
    closing,
  ];
  const single = groups.flatMap((group) => Object.entries(group));
  const cases: SuiteCase[] = single.map(([obligation, body]) => ({
    name: obligation,
    run: () => onFresh(({ store }) => body(store)),
  }));
  for (const [obligation, body] of Object.entries(handles)) {
    const run = () =>
      onFresh(async (subject) => {
        const second = await subject.reopen?.();
        assert.ok(second, 'a durable store can be reopened');
        try {
          await body(subject.store, second);
        } finally {
          await second.close();
        }
      });
    cases.push({ name: obligation, run, ...(durable ? {} : { skip: 'the data ends with its handle' }) });
  }
  return { name: `JobStore: ${name}`, cases };
}
