import type { Database } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';

/**
 * Who of the operators did what, to whom, from where, and how it ended. Written before anything is done: nothing that an
 * operator does over the network goes unrecorded, and where it cannot be recorded it is not done. Rows are only ever added.
 */
export interface OperatorAction {
  readonly id: string;
  /** Wall milliseconds. */
  readonly at: number;
  readonly actor: string;
  /** The actor's e-mail address, where it is a user. */
  readonly email: string | null;
  readonly what: string;
  readonly about: string;
  readonly address: string;
  readonly asked: Readonly<Record<string, unknown>>;
  /** Undefined: it began and nobody wrote down how it ended. */
  readonly outcome: 'done' | 'refused' | 'failed' | undefined;
  readonly code: string | null;
  readonly before: unknown;
  readonly after: unknown;
}

export class OperatorLog {
  readonly #parts: { database: Database; clock: Clock; makeId: IdMaker };

  constructor(parts: { database: Database; clock: Clock; makeId: IdMaker }) {
    this.#parts = parts;
  }

  /** Notes that something is about to be done. Answers its name. */
  async begin(action: {
    actor: string;
    what: string;
    about: string;
    address: string;
    asked: Readonly<Record<string, unknown>>;
  }): Promise<string> {
    const { database, clock, makeId } = this.#parts;
    const { sql } = database;
    const id = makeId('act');
    const { actor, what, about, address } = action;
    await sql`
      insert into operator_actions (id, at, actor, what, about, address, asked)
      values (
        ${id}, ${new Date(clock.wallMs())}, ${actor}, ${what}, ${about.slice(0, 300)}, ${address.slice(0, 60)},
        ${sql.json(withoutSecrets(action.asked) as never)}
      )`;
    return id;
  }

  /** Notes how it ended, once. */
  async end(
    id: string,
    end: { outcome: 'done' | 'refused' | 'failed'; code?: string; before?: unknown; after?: unknown },
  ): Promise<void> {
    const { database, clock } = this.#parts;
    const { sql } = database;
    const json = (value: unknown) => (value === undefined ? null : sql.json(value as never));
    await sql`
      insert into operator_outcomes (action_id, at, outcome, code, before, after)
      values (
        ${id}, ${new Date(clock.wallMs())}, ${end.outcome}, ${end.code ?? null}, ${json(end.before)}, ${json(end.after)}
      )
      on conflict (action_id) do nothing`;
  }

  /**
   * The latest actions, newest first: of all, or about one thing, of one actor (its name or address), with a text in what was
   * done, or that ended so; before a given one where named.
   */
  async list(which: {
    about?: string | undefined;
    actor?: string | undefined;
    what?: string | undefined;
    outcome?: 'done' | 'refused' | 'failed' | 'open' | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<OperatorAction[]> {
    const { about = null, actor = null, what = null, outcome = null, before = null, limit } = which;
    const rows = await this.#parts.database.sql<Row[]>`
      select a.id, a.at, a.actor, u.email, a.what, a.about, a.address, a.asked, o.outcome, o.code, o.before, o.after
      from operator_actions a
      left join operator_outcomes o on o.action_id = a.id
      left join users u on u.id = a.actor
      where (${about}::text is null or a.about = ${about}) and (${actor}::text is null or a.actor = ${actor} or u.email = ${actor})
        and (${what}::text is null or position(lower(${what}) in lower(a.what)) > 0)
        and (${outcome}::text is null or coalesce(o.outcome::text, 'open') = ${outcome})
        and (${before}::text is null or (a.at, a.id) < (select b.at, b.id from operator_actions b where b.id = ${before}))
      order by a.at desc, a.id desc limit ${limit}`;
    return rows.map((row) => ({ ...row, at: row.at.getTime(), outcome: row.outcome ?? undefined }));
  }
}

interface Row extends Omit<OperatorAction, 'at' | 'outcome'> {
  readonly at: Date;
  readonly outcome: 'done' | 'refused' | 'failed' | null;
}

const SECRET = /password|secret|token|code|key/i;

/** What was asked for, without what nobody should read twice, and short. */
function withoutSecrets(asked: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(asked).map(([name, value]) => [name, SECRET.test(name) ? '[sealed]' : plain(value)]),
  );
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return value.slice(0, 2_000);
  if (Array.isArray(value)) return value.slice(0, 100).map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return withoutSecrets(value as Record<string, unknown>);
}
