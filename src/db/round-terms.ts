import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Sql } from './database.ts';

/**
 * Rounds that only one of several gateways makes at a time. Whoever begins has a *term* for a while and renews it as
 * long as its work goes on; when it dies or stands still, the term runs out and another gateway takes the next one, with a
 * higher number.
 *
 * A holder that stood still and wakes up after its term cannot do harm. Everything that the work of a term asks of a
 * database, through whatever room, is held to the term: by this process's clock before a statement is sent, and in each
 * transaction by the row of the term, which is locked until the commit. So no transaction of an old term commits once a new
 * one has begun, and none can begin while one of the old is about to commit.
 */
export class RoundTerms {
  readonly #database: TermDatabase;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #termMs: number;
  readonly #held = new Set<string>();

  /** `holder` names this process over its lives: a new one goes on with the term of the one before. */
  constructor(parts: { database: TermDatabase; holder: string; clock: Clock; termMs?: number }) {
    this.#database = parts.database;
    this.#holder = parts.holder;
    this.#clock = parts.clock;
    this.#termMs = parts.termMs ?? TERM_MS;
  }

  /** Does `work` if it is this process's to do. False when it is another's, and nothing was done. */
  async take(name: string, work: () => Promise<void>): Promise<boolean> {
    const term = await this.#renew(name);
    if (!term) return false;
    this.#held.add(name);
    const renewing = this.#clock.every(this.#termMs / 3, () => void this.#goOn(name, term));
    running += 1;
    try {
      await current.run(term, work);
      return true;
    } finally {
      renewing.cancel();
      term.over = true;
      running -= 1;
      // While it is in use, every promise and every socket of the process is followed, those of requests too. What a term
      // left running is no part of it any more, so nothing is lost.
      if (running === 0) current.disable();
    }
  }

  /** Gives back what this process holds, so that another need not wait. */
  async close(): Promise<void> {
    if (this.#held.size === 0) return;
    await this.#database.sql`
      update round_terms set until = now() where holder = ${this.#holder} and name = any(${[...this.#held]}::text[])`;
  }

  async #goOn(name: string, term: Term): Promise<void> {
    try {
      const renewed = await this.#renew(name);
      if (renewed?.number === term.number) term.untilMs = renewed.untilMs;
    } catch {
      // Where the database is away the work fails by itself, or its term runs out.
    }
  }

  async #renew(name: string): Promise<Term | undefined> {
    const untilMs = this.#clock.nowMs() + this.#termMs;
    const { sql } = this.#database;
    // A renewal, which a transaction of this very term does not hold up.
    const [renewed] = await sql<{ term: bigint }[]>`
      update round_terms set until = now() + make_interval(secs => ${this.#termMs / 1_000})
      where name = ${name} and holder = ${this.#holder} returning term`;
    const row = renewed ?? (await this.#begin(name));
    return row && { name, number: row.term, untilMs, nowMs: () => this.#clock.nowMs(), over: false };
  }

  /** The first term of a kind, or the next one after another's that is over; undefined while that one runs. */
  async #begin(name: string): Promise<{ term: bigint } | undefined> {
    const { sql } = this.#database;
    const seconds = this.#termMs / 1_000;
    const [first] = await sql<{ term: bigint }[]>`
      insert into round_terms (name, term, holder, until) values (${name}, 1, ${this.#holder}, now() + make_interval(secs => ${seconds}))
      on conflict (name) do nothing returning term`;
    if (first) return first;
    // Locked for update: that waits for every transaction of the old term.
    const [next] = await sql<{ term: bigint }[]>`
      with old as (select name from round_terms where name = ${name} and until < now() for update)
      update round_terms r set term = r.term + 1, holder = ${this.#holder}, until = now() + make_interval(secs => ${seconds})
      from old where r.name = old.name returning r.term`;
    return next;
  }
}

/** Does the work of a round if it is this process's to do to do it; where there is only one process, it always is. */
export type Once = (name: string, work: () => Promise<void>) => Promise<unknown>;

/** What `RoundTerms` needs of a database: its statements outside of any term. */
interface TermDatabase {
  readonly sql: Sql;
}

interface Term {
  readonly name: string;
  readonly number: bigint;
  /** By this process's own clock, counted from before it asked. */
  untilMs: number;
  readonly nowMs: () => number;
  /** The work is done. What it left running is no part of the term. */
  over: boolean;
}

const TERM_MS = 15_000;
const current = new AsyncLocalStorage<Term>();
/** Terms of this process, whichever market they are of. */
let running = 0;

/** The term under which whoever asks works; undefined outside of terms. Throws when it has run out. */
export function termInForce(): { readonly name: string; readonly number: bigint } | undefined {
  const term = current.getStore();
  if (!term || term.over) return undefined;
  if (term.nowMs() >= term.untilMs) throw termOver(term.name);
  return term;
}

/** The term is over: nothing of it may be written. */
export function termOver(name: string): Fault {
  return new Fault('term-over', { inner: `Another gateway makes the rounds "${name}" now.` });
}
