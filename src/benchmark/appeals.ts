import type { Database, Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import type { Collateral, SlashedTokens } from '#funds/collateral.ts';
import { noteEvent } from '#identity/account-events.ts';
import { Fault } from '#kit/fault.ts';
import { findingOf, runOfFinding } from './finding-id.ts';
import type { BenchmarkStore } from './store.ts';

/**
 * Appeals: a provider asks for another look at a failed benchmark, at a finding that took from its pledge, or at what a service
 * level charged; the operator decides, whether it was asked or not. What is asked and what is decided are records of their own,
 * each made once. Charges are decided about where service levels are (`src/sla/desk.ts`); here they are only asked about.
 */
export interface Appeal {
  /** The id of the run, or of the finding. */
  readonly about: string;
  readonly kind: 'benchmark' | 'slash' | 'service-level';
  readonly providerId: string;
  /** The provider's words. */
  readonly reason: string;
  /** Wall milliseconds. */
  readonly askedAt: number;
  /** Undefined while the operator has not decided. */
  readonly decided:
    | { readonly decision: 'granted' | 'rejected'; readonly reason: string; readonly at: number }
    | undefined;
}

/** What a provider may appeal against now. */
export interface Appealable {
  readonly about: string;
  readonly kind: Appeal['kind'];
  readonly at: number;
  /** What was found, in sentences. */
  readonly found: readonly string[];
}

const LISTED = 100;
/** What a service level charged may be appealed against for so long: by then its requests are still known in detail. */
const CHARGE_APPEAL_DAYS = 30;
const CHARGE_APPEAL_MS = CHARGE_APPEAL_DAYS * 86_400_000;

/** Until when a charge may be appealed against. Both in wall milliseconds. */
export function chargeAppealUntil(chargedAt: number): number {
  return chargedAt + CHARGE_APPEAL_MS;
}

export class AppealDesk {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Asks for an appeal. The same again answers the first, with its first reason. Throws `thing-unknown` for what is not this
   * provider's, and `conflict` for a run that was passed, for what was decided already, and for a charge that took nothing or
   * is older than 30 days.
   */
  async ask(wish: {
    about: string;
    providerId: string;
    reason: string;
    actor: string;
    at: number;
  }): Promise<{ appeal: Appeal; known: boolean }> {
    const { providerId, reason, actor, at } = wish;
    const about = runOfFinding(wish.about) ?? wish.about;
    return await this.#database.transaction(async (sql) => {
      const { kind, closed } = await kindOf(sql, { about, providerId, at });
      const [known] = await this.#appeals(sql, sql`where a.subject = ${about}`);
      if (known) return { appeal: known, known: true };
      const [decided] = await sql<{ decision: string }[]>`
        select decision from benchmark_appeals where run_id = ${about}
        union all select decision from finding_appeals where finding_id = ${about}
        union all select decision from sla_appeals where finding_id = ${about}`;
      if (decided) {
        throw new Fault('conflict', { outer: `This was decided before: an appeal was ${decided.decision}.` });
      }
      if (closed !== undefined) throw new Fault('conflict', { outer: closed });
      const [made] = await sql`
        insert into appeals (subject, kind, provider_id, reason, asked_by, asked_at)
        values (${about}, ${kind}, ${providerId}, ${reason}, ${actor}, ${new Date(at)})
        on conflict do nothing returning subject`;
      if (made)
        await noteEvent(sql, {
          at,
          actor,
          what: 'appeal-asked',
          about: providerId,
          detail: { about, kind },
        });
      const [appeal] = await this.#appeals(sql, sql`where a.subject = ${about}`);
      if (!appeal) throw new Fault('internal', { inner: 'An appeal that was just asked for is gone.' });
      return { appeal, known: made === undefined };
    });
  }

  /** A provider's own, newest first. */
  async ofProvider(providerId: string): Promise<Appeal[]> {
    const { sql } = this.#database;
    return await this.#appeals(
      sql,
      sql`where a.provider_id = ${providerId} order by a.asked_at desc, a.subject limit ${LISTED}`,
    );
  }

  /** What waits for the operator, oldest first. */
  async waiting(): Promise<Appeal[]> {
    const { sql } = this.#database;
    return await this.#appeals(
      sql,
      sql`where b.run_id is null and f.finding_id is null and s.finding_id is null
        order by a.asked_at, a.subject limit ${LISTED}`,
    );
  }

  /** Failed runs, findings and charges of a provider that nobody appealed against or decided, newest first. */
  async appealable(providerId: string, now: number): Promise<Appealable[]> {
    const rows = await this.#database.sql<
      { about: string; kind: Appeal['kind']; at: Date; found: string[] }[]
    >`
      select * from (
        (select r.id as about, 'benchmark' as kind, r.ended_at as at, r.shortcomings as found from benchmark_runs r
        where r.provider_id = ${providerId} and not r.passed
          and not exists (select from benchmark_appeals b where b.run_id = r.id)
          and not exists (select from appeals a where a.subject = r.id)
        order by r.ended_at desc limit ${LISTED})
        union all
        (select f.id, 'slash', f.at, array[f.reason] from collateral_findings f
        where f.provider_id = ${providerId} and f.id not like 'benchmark:%'
          and not exists (select from sla_charges c where c.finding_id = f.id)
          and not exists (select from finding_appeals d where d.finding_id = f.id)
          and not exists (select from appeals a where a.subject = f.id)
        order by f.at desc limit ${LISTED})
        union all
        (select c.finding_id, 'service-level', r.made_at, array[f.reason] from sla_charges c
        join sla_reports r on r.id = c.report_id join collateral_findings f on f.id = c.finding_id
        where c.provider_id = ${providerId} and c.taken > 0 and r.made_at > ${new Date(now - CHARGE_APPEAL_MS)}
          and not exists (select from sla_appeals d where d.finding_id = c.finding_id)
          and not exists (select from appeals a where a.subject = c.finding_id)
        order by r.made_at desc limit ${LISTED})
      ) as open order by at desc, about limit ${LISTED}`;
    return rows.map(({ about, kind, at, found }) => ({ about, kind, at: at.getTime(), found }));
  }

  /**
   * Decides what a failed run, or a finding of the operator's own, comes to, in one transaction with what follows. Granted: a
   * run is set aside, so that it is no step of the ladder any more, what it took is given back by a new entry, and what it had
   * not taken yet it never takes. Once decided it stays so; the same decision again changes nothing, and tells again what the
   * contract took. That a provider was removed stays: `removed` is final for a key, and its owner may sign up anew.
   * Throws `thing-unknown`, and `conflict` for a run that was passed or was decided otherwise.
   */
  async decide(
    { store, collateral }: DecidingRooms,
    appeal: {
      about: string;
      decision: 'granted' | 'rejected';
      reason: string;
      actor: string;
      at: number;
    },
  ): Promise<Decided> {
    const { about, ...rest } = appeal;
    const { decision, reason, actor, at } = rest;
    const runId = runOfFinding(about) ?? about;
    return await this.#database.transaction(async (sql) => {
      const ofRun = await store.decide(sql, { ...rest, runId });
      const answer =
        ofRun === 'unknown' ? await collateral.decideFinding(sql, { ...rest, id: about }) : ofRun.state;
      if (answer === 'unknown') throw new Fault('thing-unknown', { outer: UNKNOWN });
      if (answer === 'passed') throw new Fault('conflict', { outer: PASSED });
      if (typeof answer === 'object') {
        throw new Fault('conflict', { outer: `The appeal was ${answer.decidedAs} before.` });
      }
      const known = answer === 'known';
      if (decision === 'rejected') return { decision, known, dollars: 0n, tokens: [] };
      const back =
        ofRun === 'unknown'
          ? await collateral.giveBack(sql, about)
          : await collateral.setAside(sql, {
              id: findingOf(runId),
              providerId: ofRun.providerId,
              reason,
              actor,
              at,
            });
      return { decision, known, dollars: back?.dollars ?? 0n, tokens: back?.tokens ?? [] };
    });
  }

  async #appeals(sql: Sql, rest: ReturnType<Sql>): Promise<Appeal[]> {
    const rows = await sql<AppealRow[]>`
      select a.subject, a.kind, a.provider_id, a.reason, a.asked_at,
        coalesce(b.decision, f.decision, s.decision) as decision,
        coalesce(b.reason, f.reason, s.reason) as because, coalesce(b.decided_at, f.decided_at, s.at) as decided_at
      from appeals a
      left join benchmark_appeals b on b.run_id = a.subject
      left join finding_appeals f on f.finding_id = a.subject
      left join sla_appeals s on s.finding_id = a.subject ${rest}`;
    return rows.map((row) => ({
      about: row.subject,
      kind: row.kind,
      providerId: row.provider_id,
      reason: row.reason,
      askedAt: row.asked_at.getTime(),
      decided:
        row.decision === null || row.decided_at === null
          ? undefined
          : { decision: row.decision, reason: row.because ?? '', at: row.decided_at.getTime() },
    }));
  }
}

/** What a provider names. `closed`: why it may be appealed against no longer, unless it was before. */
async function kindOf(
  sql: Sql,
  { about, providerId, at }: { about: string; providerId: string; at: number },
): Promise<{ kind: Appeal['kind']; closed?: string }> {
  const [run] = await sql<{ passed: boolean }[]>`
    select passed from benchmark_runs where id = ${about} and provider_id = ${providerId}`;
  if (run?.passed) throw new Fault('conflict', { outer: PASSED });
  if (run) return { kind: 'benchmark' };
  const [charge] = await sql<{ taken: Pico; made_at: Date }[]>`
    select c.taken, r.made_at from sla_charges c join sla_reports r on r.id = c.report_id
    where c.finding_id = ${about} and c.provider_id = ${providerId}`;
  if (charge) {
    if (charge.taken === 0n) return { kind: 'service-level', closed: TOOK_NOTHING };
    const late = at >= chargeAppealUntil(charge.made_at.getTime());
    return { kind: 'service-level', ...(late && { closed: TOO_LATE }) };
  }
  const [finding] = await sql`
    select id from collateral_findings where id = ${about} and provider_id = ${providerId}
      and not exists (select from sla_charges c where c.finding_id = ${about})`;
  if (!finding) throw new Fault('thing-unknown', { outer: UNKNOWN });
  return { kind: 'slash' };
}

const PASSED = 'This run was passed: there is nothing to appeal.';
const UNKNOWN = 'There is no such benchmark run, and no such finding.';
const TOOK_NOTHING = 'Nothing was taken for this: there is nothing to give back.';
const TOO_LATE = `A charge may be appealed against for ${CHARGE_APPEAL_DAYS} days. Write to the operator, who may still decide.`;

interface AppealRow {
  subject: string;
  kind: Appeal['kind'];
  provider_id: string;
  reason: string;
  asked_at: Date;
  decision: 'granted' | 'rejected' | null;
  because: string | null;
  decided_at: Date | null;
}

export interface Decided {
  readonly decision: 'granted' | 'rejected';
  /** Decided before, in the same way. */
  readonly known: boolean;
  /** What went back to the pledge. */
  readonly dollars: Pico;
  /** What the contract took, for the operator to pay back. */
  readonly tokens: readonly SlashedTokens[];
}

/** Where what is decided is written down. */
export interface DecidingRooms {
  readonly store: Pick<BenchmarkStore, 'decide'>;
  readonly collateral: Pick<Collateral, 'giveBack' | 'decideFinding' | 'setAside'>;
}
