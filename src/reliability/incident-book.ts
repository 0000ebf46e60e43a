import type { Database, Sql } from '#db/database.ts';
import { rank, type Severity, type TriggerName } from './triggers.ts';

/**
 * Incidents and their timelines as they are kept. Every change is one transaction: the row of the incident, which says where
 * it stands, and a step of the timeline, which is never changed. What would change nothing (an incident that is open
 * already, one that another process has resolved) writes nothing.
 */
export interface Incident {
  readonly id: string;
  /** `''`: the whole market. */
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  readonly openedMs: number;
  readonly openedBy: 'rule' | 'operator';
  readonly severity: Severity;
  readonly worst: Severity;
  readonly triggers: readonly TriggerName[];
  readonly because: string;
  readonly lastHeldMs: number;
  readonly silencedUntilMs: number | null;
  readonly resolvedMs: number | null;
}

export type StepKind = 'opened' | 'changed' | 'note' | 'silenced' | 'resolved' | 'post-mortem';

export interface TimelineStep {
  readonly seq: number;
  readonly incidentId: string;
  readonly atMs: number;
  readonly kind: StepKind;
  /** `rule`, or who wrote it. */
  readonly actor: string;
  readonly severity: Severity | null;
  readonly words: string;
  /** For operators alone. */
  readonly internal: boolean;
}

interface Change {
  readonly severity: Severity;
  readonly triggers: readonly TriggerName[];
  readonly because: string;
  readonly atMs: number;
}

/** The name under which the rules write. */
export const RULE = 'rule';

export class IncidentBook {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The incidents that are not over, oldest first. */
  async open(): Promise<Incident[]> {
    const rows = await this.#database.sql<IncidentRow[]>`
      select * from incidents where resolved_at is null order by opened_at, id`;
    return rows.map(incidentOf);
  }

  /** Incidents that were open at some time after `sinceMs`, newest first. */
  async since(sinceMs: number, limit: number): Promise<Incident[]> {
    const rows = await this.#database.sql<IncidentRow[]>`
      select * from incidents where resolved_at is null or resolved_at >= ${new Date(sinceMs)}
      order by opened_at desc, id limit ${limit}`;
    return rows.map(incidentOf);
  }

  async find(id: string): Promise<Incident | undefined> {
    const [row] = await this.#database.sql<IncidentRow[]>`select * from incidents where id = ${id}`;
    return row && incidentOf(row);
  }

  /** The timelines of incidents, each oldest first. */
  async steps(ids: readonly string[]): Promise<TimelineStep[]> {
    const rows = await this.#database.sql<StepRow[]>`
      select * from incident_steps where incident_id = any(${[...ids]}::text[]) order by seq`;
    return rows.map(stepOf);
  }

  /** Opens an incident. False when its component has an open one already. */
  async begin(
    incident: Change & { id: string; modelId: string; region: string; actor: string },
  ): Promise<boolean> {
    const { id, modelId, region, severity, triggers, because, atMs, actor } = incident;
    return await this.#database.transaction(async (sql) => {
      const [made] = await sql`
        insert into incidents (
          id, model_id, region, opened_at, opened_by, severity, worst, triggers, because, last_held_at
        ) values (
          ${id}, ${modelId}, ${region}, ${new Date(atMs)}, ${actor === RULE ? 'rule' : 'operator'}, ${severity},
          ${severity}, ${[...triggers]}::text[], ${because}, ${new Date(atMs)}
        ) on conflict do nothing returning id`;
      if (!made) return false;
      await step(sql, { id, atMs, kind: 'opened', actor, severity, words: because });
      return true;
    });
  }

  /** It got worse, or has another reason. False when it is over. */
  async change(id: string, change: Change): Promise<boolean> {
    const { severity, triggers, because, atMs } = change;
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql<IncidentRow[]>`
        select * from incidents where id = ${id} and resolved_at is null for update`;
      if (!row) return false;
      const all = [...new Set([...row.triggers, ...triggers])];
      const worst = rank(severity) > rank(row.worst) ? severity : row.worst;
      // Another process may have said the same a moment ago.
      const news = all.length > row.triggers.length || severity !== row.severity;
      await sql`
        update incidents set severity = ${severity}, worst = ${worst}, triggers = ${all}::text[],
          because = ${because}, last_held_at = greatest(last_held_at, ${new Date(atMs)})
        where id = ${id}`;
      if (news) await step(sql, { id, atMs, kind: 'changed', actor: RULE, severity, words: because });
      return true;
    });
  }

  /** There is still a reason for these. */
  async held(ids: readonly string[], atMs: number): Promise<void> {
    if (ids.length === 0) return;
    await this.#database.sql`
      update incidents set last_held_at = ${new Date(atMs)}
      where id = any(${[...ids]}::text[]) and resolved_at is null and last_held_at < ${new Date(atMs)}`;
  }

  /**
   * Ends an incident. `quietSinceMs`: only if no process saw a reason for it since then. False when it is over already, or
   * was not quiet.
   */
  async resolve(
    id: string,
    about: { atMs: number; actor: string; words: string; quietSinceMs?: number },
  ): Promise<boolean> {
    const { atMs, actor, words, quietSinceMs } = about;
    const quiet = quietSinceMs === undefined ? null : new Date(quietSinceMs);
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql`
        update incidents set resolved_at = greatest(opened_at, ${new Date(atMs)})
        where id = ${id} and resolved_at is null
          and (${quiet}::timestamptz is null or last_held_at <= ${quiet}::timestamptz)
        returning id`;
      if (!row) return false;
      await step(sql, { id, atMs, kind: 'resolved', actor, severity: null, words });
      return true;
    });
  }

  /** Adds an operator's words to a timeline, also of an incident that is over. False when there is none. */
  async note(
    id: string,
    about: { atMs: number; actor: string; words: string; internal?: boolean },
  ): Promise<boolean> {
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql`select from incidents where id = ${id}`;
      if (row) await step(sql, { id, ...about, kind: 'note', severity: null });
      return row !== undefined;
    });
  }

  /** Adds the rules' own words for operators, once to an incident. False when they are there, or it is over. */
  async noteOnce(id: string, about: { atMs: number; actor: string; words: string }): Promise<boolean> {
    return await this.#database.transaction(async (sql) => {
      // Locked before it is looked: of two at once the second one finds the words of the first.
      const [open] = await sql`select from incidents where id = ${id} and resolved_at is null for update`;
      const [said] = await sql`
        select from incident_steps where incident_id = ${id} and kind = 'note' and actor = ${about.actor}`;
      if (!open || said) return false;
      await step(sql, { id, ...about, kind: 'note', severity: null, internal: true });
      return true;
    });
  }

  /** Publishes what was learnt of an incident that is over. False when there is none, or it is open. */
  async publish(id: string, about: { atMs: number; actor: string; words: string }): Promise<boolean> {
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql`select from incidents where id = ${id} and resolved_at is not null`;
      if (row) await step(sql, { id, ...about, kind: 'post-mortem', severity: null });
      return row !== undefined;
    });
  }

  /** Nothing is done about an incident, and nobody told, until then. False when it is over. */
  async silence(
    id: string,
    about: { untilMs: number; atMs: number; actor: string; words: string },
  ): Promise<boolean> {
    const { untilMs, ...rest } = about;
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql`
        update incidents set silenced_until = ${new Date(untilMs)} where id = ${id} and resolved_at is null
        returning id`;
      if (row) await step(sql, { id, ...rest, kind: 'silenced', severity: null });
      return row !== undefined;
    });
  }

  /**
   * Takes up to ten steps that a channel was not told yet and puts them off by `retryMs`, so that no other process tells them
   * meanwhile. What is older than `sinceMs` is no news.
   */
  async takeDue(
    channel: Channel,
    about: { atMs: number; sinceMs: number; retryMs: number; triesMax: number },
  ): Promise<TimelineStep[]> {
    const { atMs, sinceMs, retryMs, triesMax } = about;
    const at = new Date(atMs);
    return await this.#database.transaction(async (sql) => {
      await sql`
        insert into incident_notices (step_seq, channel, not_before)
        select s.seq, ${channel}, ${at} from incident_steps s join incidents i on i.id = s.incident_id
        where s.at >= ${new Date(sinceMs)} and s.kind <> 'silenced' and not s.internal
          and (i.silenced_until is null or i.silenced_until <= s.at)
        on conflict do nothing`;
      const rows = await sql<StepRow[]>`
        with due as (
          select step_seq from incident_notices
          where channel = ${channel} and delivered_at is null and not_before <= ${at} and tries < ${triesMax}
            and step_seq in (select seq from incident_steps where at >= ${new Date(sinceMs)})
          order by step_seq limit 10 for update skip locked
        ), taken as (
          update incident_notices n set tries = tries + 1,
            not_before = ${at}::timestamptz + make_interval(secs => ${retryMs / 1000}::float8 * (1 << least(tries, 8)))
          from due where n.step_seq = due.step_seq and n.channel = ${channel} returning n.step_seq
        )
        select s.* from incident_steps s join taken on taken.step_seq = s.seq order by s.seq`;
      return rows.map(stepOf);
    });
  }

  async delivered(channel: Channel, seq: number, atMs: number): Promise<void> {
    await this.#database.sql`
      update incident_notices set delivered_at = ${new Date(atMs)} where step_seq = ${seq} and channel = ${channel}`;
  }
}

export type Channel = 'webhook' | 'mail';

interface IncidentRow {
  id: string;
  model_id: string;
  region: string;
  opened_at: Date;
  opened_by: 'rule' | 'operator';
  severity: Severity;
  worst: Severity;
  triggers: TriggerName[];
  because: string;
  last_held_at: Date;
  silenced_until: Date | null;
  resolved_at: Date | null;
}

interface StepRow {
  seq: bigint | number | string;
  incident_id: string;
  at: Date;
  kind: StepKind;
  actor: string;
  severity: Severity | null;
  words: string;
  internal: boolean;
}

function incidentOf(row: IncidentRow): Incident {
  return {
    id: row.id,
    modelId: row.model_id,
    region: row.region,
    openedMs: row.opened_at.getTime(),
    openedBy: row.opened_by,
    severity: row.severity,
    worst: row.worst,
    triggers: row.triggers,
    because: row.because,
    lastHeldMs: row.last_held_at.getTime(),
    silencedUntilMs: row.silenced_until?.getTime() ?? null,
    resolvedMs: row.resolved_at?.getTime() ?? null,
  };
}

function stepOf(row: StepRow): TimelineStep {
  const { seq, at, incident_id: incidentId, kind, actor, severity, words, internal } = row;
  return { seq: Number(seq), incidentId, atMs: at.getTime(), kind, actor, severity, words, internal };
}

async function step(
  sql: Sql,
  about: {
    id: string;
    atMs: number;
    kind: StepKind;
    actor: string;
    severity: Severity | null;
    words: string;
    internal?: boolean;
  },
): Promise<void> {
  const { id, atMs, kind, actor, severity, words, internal = false } = about;
  await sql`
    insert into incident_steps (incident_id, at, kind, actor, severity, words, internal)
    values (${id}, ${new Date(atMs)}, ${kind}, ${actor}, ${severity}, ${words}, ${internal})`;
}
