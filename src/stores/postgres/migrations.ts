/** A step from one version of the schema to the next. */
export interface Migration {
  /** What it does, in one transaction. */
  readonly statements: readonly string[];
  /**
   * Code of the version before cannot use the schema any more. All of that code has to be stopped before, so that such a
   * step is for a major version; what adds a table, an index or a column with a default does not break.
   */
  readonly breaks?: true;
}

/**
 * The schema, as steps; a store's version is how many were run. Steps are added, never changed. Times are `double
 * precision`, for a JavaScript clock may tell fractions of milliseconds; JSON is text, which comes back as it was. Ids
 * sort by their bytes whatever the database's language is. What may be long is in no B-tree, which has a limit.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    statements: [
      `CREATE TABLE @versions (
        mark text NOT NULL,
        version integer NOT NULL,
        usable_from integer NOT NULL
      )`,
      `CREATE TABLE @installation (
        is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
        id text NOT NULL
      )`,
      `CREATE TABLE @jobs (
        id text COLLATE "C" PRIMARY KEY,
        tenant text COLLATE "C" NOT NULL,
        actor text NOT NULL,
        operation text NOT NULL,
        operation_version integer NOT NULL,
        input text NOT NULL,
        created_at double precision NOT NULL,
        parent text,
        state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
        epoch integer NOT NULL,
        lease_until double precision NOT NULL,
        not_before double precision NOT NULL,
        cancel_requested boolean NOT NULL,
        outcome text,
        started_at double precision,
        ended_at double precision,
        usage text,
        UNIQUE (tenant, id),
        CHECK ((outcome IS NULL) = (state IN ('queued', 'running')))
      )`,
      'CREATE INDEX jobs_open ON @jobs (id) WHERE outcome IS NULL',
      'CREATE INDEX jobs_by_state ON @jobs (tenant, state, id)',
      'CREATE INDEX jobs_by_end ON @jobs (tenant, ended_at, id) WHERE usage IS NOT NULL',
      `CREATE TABLE @steps (
        position bigint GENERATED ALWAYS AS IDENTITY,
        tenant text COLLATE "C" NOT NULL,
        job text COLLATE "C" NOT NULL,
        key bytea NOT NULL,
        step text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('intent', 'result')),
        input text,
        value text,
        PRIMARY KEY (job, key),
        FOREIGN KEY (tenant, job) REFERENCES @jobs (tenant, id),
        CHECK ((value IS NULL) = (kind = 'intent'))
      )`,
      'CREATE INDEX steps_in_order ON @steps (tenant, job, position)',
      `CREATE TABLE @resource_leases (
        tenant text COLLATE "C" NOT NULL,
        resource text NOT NULL,
        job text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        excludes text NOT NULL,
        FOREIGN KEY (tenant, job) REFERENCES @jobs (tenant, id)
      )`,
      'CREATE INDEX leases_by_resource ON @resource_leases USING hash (resource)',
      'CREATE INDEX leases_by_job ON @resource_leases (tenant, job)',
      `CREATE TABLE @plans (
        tenant text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        name text NOT NULL,
        provider text NOT NULL,
        resources text NOT NULL,
        exclude text NOT NULL,
        dependencies text NOT NULL,
        incomplete text NOT NULL,
        on_failure text NOT NULL,
        policy text NOT NULL,
        retention text NOT NULL,
        created_at double precision NOT NULL,
        PRIMARY KEY (tenant, id),
        UNIQUE (tenant, name)
      )`,
      `CREATE TABLE @schedules (
        tenant text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        plan text NOT NULL,
        site text NOT NULL,
        asked text NOT NULL,
        next double precision,
        wake_at double precision,
        revision integer NOT NULL,
        last_job text,
        resumed_at double precision NOT NULL,
        PRIMARY KEY (tenant, id)
      )`,
      'CREATE INDEX schedules_to_wake ON @schedules (wake_at) WHERE wake_at IS NOT NULL',
      `CREATE TABLE @schedule_ticks (
        number bigint GENERATED ALWAYS AS IDENTITY,
        tenant text COLLATE "C" NOT NULL,
        schedule text COLLATE "C" NOT NULL,
        time double precision NOT NULL,
        event text,
        tick text NOT NULL
      )`,
      'CREATE INDEX schedule_ticks_in_order ON @schedule_ticks (tenant, schedule, time, number)',
      'CREATE UNIQUE INDEX schedule_ticks_of_times ON @schedule_ticks (tenant, schedule, time) WHERE event IS NULL',
      `CREATE UNIQUE INDEX schedule_ticks_of_events ON @schedule_ticks (tenant, schedule, event)
        WHERE event IS NOT NULL`,
      `CREATE TABLE @schedule_pauses (
        kind text NOT NULL,
        tenant text NOT NULL,
        name text NOT NULL,
        PRIMARY KEY (kind, tenant, name)
      )`,
    ],
  },
  // What a job's end adds to and takes from, a trigger does: so it is right also where code of before it ends it. Most jobs of
  // a tenant add nothing, and do not wait for each other.
  {
    statements: [
      `CREATE TABLE @quota_totals (
        tenant text COLLATE "C" PRIMARY KEY,
        checkpoints bigint NOT NULL,
        protected bigint NOT NULL,
        stored bigint NOT NULL
      )`,
      `CREATE TABLE @quota_reservations (
        tenant text COLLATE "C" NOT NULL,
        job text COLLATE "C" NOT NULL,
        checkpoints bigint NOT NULL,
        protected bigint NOT NULL,
        stored bigint NOT NULL,
        PRIMARY KEY (tenant, job),
        FOREIGN KEY (tenant, job) REFERENCES @jobs (tenant, id)
      )`,
      `CREATE FUNCTION @settle_quota() RETURNS trigger LANGUAGE plpgsql AS $body$
        DECLARE
          used json := NEW.usage;
          more_checkpoints bigint := coalesce((used ->> 'checkpoints')::bigint, 0);
          more_protected bigint := coalesce((used ->> 'protected')::bigint, 0);
          more_stored bigint := (used ->> 'stored')::bigint;
        BEGIN
          IF more_checkpoints <> 0 OR more_protected <> 0 OR more_stored <> 0 THEN
            INSERT INTO @quota_totals AS total (tenant, checkpoints, protected, stored)
              VALUES (NEW.tenant, more_checkpoints, more_protected, more_stored)
              ON CONFLICT (tenant) DO UPDATE SET checkpoints = total.checkpoints + excluded.checkpoints,
                protected = total.protected + excluded.protected, stored = total.stored + excluded.stored;
          END IF;
          IF NEW.parent IS NOT NULL AND more_stored > 0 THEN
            UPDATE @quota_reservations SET stored = greatest(0, stored - more_stored)
              WHERE tenant = NEW.tenant AND job = NEW.parent;
          END IF;
          DELETE FROM @quota_reservations WHERE tenant = NEW.tenant AND job = NEW.id;
          RETURN NULL;
        END
      $body$`,
      `CREATE TRIGGER settle_quota AFTER UPDATE OF usage ON @jobs FOR EACH ROW
        WHEN (OLD.usage IS NULL AND NEW.usage IS NOT NULL) EXECUTE FUNCTION @settle_quota()`,
      // After the trigger, which keeps every end of a job out until this is committed.
      `INSERT INTO @quota_totals (tenant, checkpoints, protected, stored)
        SELECT tenant, 0, 0, sum((usage::json ->> 'stored')::bigint) FROM @jobs WHERE usage IS NOT NULL GROUP BY tenant`,
    ],
  },
  {
    statements: [
      `CREATE TABLE @job_places (
        name text COLLATE "C" NOT NULL,
        job text COLLATE "C" NOT NULL,
        epoch integer NOT NULL,
        PRIMARY KEY (name, job)
      )`,
      'CREATE INDEX job_places_by_job ON @job_places (job)',
    ],
  },
  {
    statements: [
      'ALTER TABLE @jobs ADD COLUMN template text',
      `CREATE TABLE @templates (
        tenant text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        asked text NOT NULL,
        PRIMARY KEY (tenant, name)
      )`,
    ],
  },
  {
    statements: [
      `CREATE TABLE @audit (
        chain text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        at double precision NOT NULL,
        hash text NOT NULL,
        record text NOT NULL,
        PRIMARY KEY (chain, number)
      )`,
      `CREATE TABLE @notifications (
        chain text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        notifier text COLLATE "C" NOT NULL,
        state text NOT NULL CHECK (state IN ('waiting', 'dead')),
        due_at double precision NOT NULL,
        attempts integer NOT NULL,
        epoch integer NOT NULL,
        error text,
        PRIMARY KEY (chain, number, notifier)
      )`,
      `CREATE INDEX notifications_due ON @notifications (notifier, due_at, chain, number)
        WHERE state = 'waiting'`,
    ],
  },
  // Of what a job that is put down holds, nothing stays. A statement of a function sees also what a call took that had the job
  // locked before.
  {
    statements: [
      `CREATE FUNCTION @put_down() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
          DELETE FROM @resource_leases WHERE tenant = NEW.tenant AND job = NEW.id;
          DELETE FROM @job_places WHERE job = NEW.id;
          RETURN NULL;
        END
      $body$`,
      `CREATE TRIGGER put_down AFTER UPDATE OF state ON @jobs FOR EACH ROW
        WHEN (OLD.state = 'running' AND NEW.state <> 'running') EXECUTE FUNCTION @put_down()`,
    ],
  },
];
