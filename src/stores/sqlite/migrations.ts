/** Marks a database file as a job store of this package: "Fafn" as a number. */
export const APPLICATION_ID = 0x4661666e;

/**
 * The schema, as steps from one version to the next; the file's `user_version` is how many were run. Steps are
 * added, never changed, and run without foreign keys. Times are REAL, for a JavaScript clock may tell fractions of
 * milliseconds.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    operation_version INTEGER NOT NULL,
    input TEXT NOT NULL,
    created_at REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    epoch INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
    outcome TEXT,
    CHECK ((outcome IS NULL) = (state IN ('queued', 'running')))
  ) STRICT;
  CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('queued', 'running');
  CREATE INDEX jobs_by_tenant ON jobs (tenant, id);
  CREATE INDEX jobs_by_state ON jobs (tenant, state, id);

  CREATE TABLE steps (
    sequence INTEGER PRIMARY KEY,
    job TEXT NOT NULL REFERENCES jobs (id),
    step TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('intent', 'result')),
    value TEXT,
    UNIQUE (job, step, kind),
    CHECK ((value IS NULL) = (kind = 'intent'))
  ) STRICT;
  CREATE INDEX steps_in_order ON steps (job, sequence);

  CREATE TABLE plans (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    resources TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE jobs ADD COLUMN not_before REAL NOT NULL DEFAULT 0;

  CREATE TABLE resource_leases (
    tenant TEXT NOT NULL,
    resource TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (id),
    kind TEXT NOT NULL,
    excludes TEXT NOT NULL,
    PRIMARY KEY (tenant, resource, job, kind, excludes)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX resource_leases_by_job ON resource_leases (tenant, job);
  `,
  `
  ALTER TABLE steps RENAME TO former_steps;
  CREATE TABLE steps (
    job TEXT NOT NULL REFERENCES jobs (id),
    sequence INTEGER NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('intent', 'result')),
    input TEXT,
    value TEXT,
    PRIMARY KEY (job, sequence),
    CHECK ((value IS NULL) = (kind = 'intent'))
  ) STRICT, WITHOUT ROWID;
  INSERT INTO steps (job, sequence, step, kind, value)
    SELECT job, sequence, step, kind, value FROM former_steps ORDER BY job, sequence;
  DROP TABLE former_steps;
  `,
  `
  CREATE TABLE segments (
    job TEXT NOT NULL REFERENCES jobs (id),
    sequence INTEGER NOT NULL,
    rows TEXT NOT NULL,
    PRIMARY KEY (job, sequence)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO segments (job, sequence, rows)
    SELECT job, sequence, '[' || json_patch(
      CASE kind
        WHEN 'result' THEN json_object('step', step, 'kind', kind, 'value', json(value))
        ELSE json_object('step', step, 'kind', kind)
      END,
      json_object('input', input)
    ) || ']' FROM steps ORDER BY job, sequence;
  DROP TABLE steps;

  ALTER TABLE jobs ADD COLUMN parent TEXT;
  `,
  `
  ALTER TABLE plans ADD COLUMN exclude TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE plans ADD COLUMN dependencies TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE plans ADD COLUMN incomplete TEXT NOT NULL DEFAULT 'refuse';
  ALTER TABLE plans ADD COLUMN on_failure TEXT NOT NULL DEFAULT 'fail';
  `,
  `
  CREATE TABLE numbered_jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    operation_version INTEGER NOT NULL,
    input TEXT NOT NULL,
    created_at REAL NOT NULL,
    parent TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    epoch INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    not_before REAL NOT NULL,
    cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
    outcome TEXT,
    CHECK ((outcome IS NULL) = (state IN ('queued', 'running')))
  ) STRICT;
  INSERT INTO numbered_jobs (id, tenant, actor, operation, operation_version, input, created_at, parent,
      state, epoch, lease_until, not_before, cancel_requested, outcome)
    SELECT id, tenant, actor, operation, operation_version, input, created_at, parent,
      state, epoch, lease_until, not_before, cancel_requested, outcome FROM jobs ORDER BY id;
  DROP TABLE jobs;
  ALTER TABLE numbered_jobs RENAME TO jobs;
  CREATE INDEX jobs_open ON jobs (id, tenant) WHERE outcome IS NULL;
  CREATE INDEX jobs_by_tenant ON jobs (tenant, id);
  CREATE INDEX jobs_ended ON jobs (tenant, state, id) WHERE outcome IS NOT NULL;

  ALTER TABLE segments RENAME TO former_segments;
  CREATE TABLE segments (
    position INTEGER PRIMARY KEY,
    rows TEXT NOT NULL
  ) STRICT;
  INSERT INTO segments (position, rows)
    SELECT (number << 32) + row_number() OVER (PARTITION BY job ORDER BY sequence), rows
    FROM former_segments JOIN jobs ON jobs.id = job ORDER BY 1;
  DROP TABLE former_segments;
  `,
  `
  ALTER TABLE plans ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
  `,
  `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE plans ADD COLUMN retention TEXT NOT NULL DEFAULT 'null';
  `,
  `
  ALTER TABLE jobs ADD COLUMN started_at REAL;
  ALTER TABLE jobs ADD COLUMN ended_at REAL;
  ALTER TABLE jobs ADD COLUMN usage TEXT;
  CREATE INDEX jobs_by_end ON jobs (tenant, ended_at, id) WHERE usage IS NOT NULL;
  `,
  `
  CREATE TABLE schedules (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    plan TEXT NOT NULL,
    site TEXT NOT NULL,
    asked TEXT NOT NULL,
    next REAL,
    wake_at REAL,
    revision INTEGER NOT NULL,
    last_job TEXT,
    resumed_at REAL NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX schedules_to_wake ON schedules (wake_at) WHERE wake_at IS NOT NULL;

  CREATE TABLE schedule_ticks (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    schedule TEXT NOT NULL,
    time REAL NOT NULL,
    event TEXT,
    tick TEXT NOT NULL
  ) STRICT;
  CREATE INDEX schedule_ticks_in_order ON schedule_ticks (tenant, schedule, time, number);
  CREATE UNIQUE INDEX schedule_ticks_of_times ON schedule_ticks (tenant, schedule, time) WHERE event IS NULL;
  CREATE UNIQUE INDEX schedule_ticks_of_events ON schedule_ticks (tenant, schedule, event) WHERE event IS NOT NULL;

  CREATE TABLE schedule_pauses (
    kind TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, name)
  ) STRICT, WITHOUT ROWID;
  `,
  // What a job's end adds to and takes from, triggers do: so it is right also where code of before them ends it.
  `
  CREATE TABLE quota_totals (
    tenant TEXT PRIMARY KEY,
    checkpoints INTEGER NOT NULL,
    protected INTEGER NOT NULL,
    stored INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO quota_totals (tenant, checkpoints, protected, stored)
    SELECT tenant, 0, 0, sum(usage ->> 'stored') FROM jobs WHERE usage IS NOT NULL GROUP BY tenant;

  CREATE TABLE quota_reservations (
    tenant TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (id),
    checkpoints INTEGER NOT NULL,
    protected INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    PRIMARY KEY (tenant, job)
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER settle_quota AFTER UPDATE OF usage ON jobs WHEN old.usage IS NULL AND new.usage IS NOT NULL
  BEGIN
    INSERT INTO quota_totals (tenant, checkpoints, protected, stored)
      SELECT new.tenant, more.checkpoints, more.protected, more.stored FROM (
        SELECT coalesce(new.usage ->> 'checkpoints', 0) AS checkpoints,
          coalesce(new.usage ->> 'protected', 0) AS protected, new.usage ->> 'stored' AS stored
      ) AS more WHERE more.checkpoints <> 0 OR more.protected <> 0 OR more.stored <> 0
      ON CONFLICT (tenant) DO UPDATE SET checkpoints = checkpoints + excluded.checkpoints,
        protected = protected + excluded.protected, stored = stored + excluded.stored;
    UPDATE quota_reservations SET stored = max(0, stored - max(0, new.usage ->> 'stored'))
      WHERE tenant = new.tenant AND job = new.parent;
    DELETE FROM quota_reservations WHERE tenant = new.tenant AND job = new.id;
  END;
  `,
  `
  CREATE TABLE job_places (
    name TEXT NOT NULL,
    job TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (name, job)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE jobs ADD COLUMN template TEXT;
  CREATE TABLE templates (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    asked TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE audit (
    chain TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    hash TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (chain, number)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE notifications (
    chain TEXT NOT NULL,
    number INTEGER NOT NULL,
    notifier TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'dead')),
    due_at REAL NOT NULL,
    attempts INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (chain, number, notifier)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX notifications_due ON notifications (notifier, due_at, chain, number) WHERE state = 'waiting';
  `,
];
