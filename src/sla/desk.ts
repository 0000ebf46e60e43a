import type { Database, Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { PROBER } from '#domain/prober.ts';
import type { TierName } from '#domain/tier.ts';
import { monthName, monthOf, monthStart, parseMonth } from '#domain/window.ts';
import type { Collateral } from '#funds/collateral.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import { openAccount, writeEntries } from '#ledger/book.ts';
import { collateralAccount, consumerAccount } from '#ledger/chart.ts';
import type { Entry } from '#ledger/entries.ts';
import { slaCreditEntry } from '#ledger/funds-entries.ts';
import { type Exclusion, type SlaResult, type Stretch, slaCredits } from '#reliability/credits.ts';
import type { SlaTerms } from '#reliability/sla-terms.ts';
import { type SlaReportBody, slaReportSchema } from '#wire/sla.ts';
import { type Agreed, agreedIn } from './agreed.ts';
import { type ChargeEvidence, failuresIn, minutesOf } from './charge-evidence.ts';
import { addContract, type Contract, contractsOf, contractTermsSchema } from './contracts.ts';
import {
  type EnteredExclusion,
  enterExclusion,
  enteredExclusions,
  exclusionsFor,
  withdrawExclusion,
} from './exclusions.ts';
import { arrivedLate, type Cut, digestOf, factsOf, type MonthFacts, type Span } from './facts.ts';
import { reportBody, type StakePart } from './report.ts';
import { providerShares } from './who-pays.ts';
import { type DataMinute, windowData } from './window-data.ts';

/**
 * Closes months of service level agreements. For each consumer with terms: its month is read and computed, the report kept, the
 * credit booked to its balance and the pledges of providers charged, all in one transaction that another run finds done. So any
 * number of processes may do this at once and die anywhere.
 *
 * A month is closed two days after its end: post-mortems are due by then, and with them the evidence for what is excluded.
 */
const SETTLES_AFTER_MS = 2 * 86_400_000;

/** The earliest that an operator may close a month by hand: its last usage may still be on its way to the ledger. */
const GRACE_MS = 15 * 60_000;

const LOCK = 'service level agreements';
const CONSUMERS_AT_ONCE = 500;
/** So many of the first entries say where the ledger begins: single labels may be wrong. */
const SOME = 1_000;

export interface RunOutcome {
  readonly month: string;
  /** Consumers with terms that used the market in the month. */
  readonly reports: readonly SlaReportBody[];
  /** How many of the reports this run made; the others were there. */
  readonly made: number;
  /** Reports that could not be made, and why. The others were made all the same. */
  readonly failed: readonly { readonly consumerId: string; readonly error: unknown }[];
}

export interface SlaCharge {
  readonly reportId: string;
  readonly findingId: string;
  readonly providerId: string;
  readonly minutes: number;
  readonly share: Pico;
  readonly taken: Pico;
  readonly month: string;
  readonly madeAt: Date;
  /** What an appeal came to; null: none was decided. */
  readonly appeal: 'granted' | 'rejected' | null;
  readonly appealReason: string | null;
  /** The provider's words, and when it said them; null: it did not appeal. */
  readonly askedBecause: string | null;
  readonly askedAt: Date | null;
}

export class SlaDesk {
  readonly #database: Database;
  readonly #collateral: Pick<Collateral, 'chargeDollars' | 'giveBack'>;
  readonly #clock: Clock;
  readonly #makeId: IdMaker;
  readonly #ourOwn: readonly string[];

  /** `ourOwn`: consumers whose money is the market's, and which nothing is promised. The prober is one. */
  constructor(parts: {
    database: Database;
    collateral: Pick<Collateral, 'chargeDollars' | 'giveBack'>;
    clock: Clock;
    makeId: IdMaker;
    ourOwn?: readonly string[];
  }) {
    this.#database = parts.database;
    this.#collateral = parts.collateral;
    this.#clock = parts.clock;
    this.#makeId = parts.makeId;
    this.#ourOwn = [PROBER.ownerId, ...(parts.ourOwn ?? [])];
  }

  /** Closes every month that is due, in their order. Rejects when one could not be closed whole: it is tried again. */
  async round(): Promise<RunOutcome[]> {
    const done: RunOutcome[] = [];
    for (let month = await this.#nextMonth(); month !== undefined; month = await this.#nextMonth()) {
      const outcome = await this.run(month);
      done.push(outcome);
      const [failed] = outcome.failed;
      if (failed) throw failed.error;
    }
    return done;
  }

  /**
   * Closes a month (as `monthOf` counts): each consumer's report once, whoever else does so at the same time. Throws `conflict`
   * for a month that is not over.
   */
  async run(month: number): Promise<RunOutcome> {
    this.#checkOver(month);
    const name = monthName(month);
    const reports: SlaReportBody[] = [];
    const failed: { consumerId: string; error: unknown }[] = [];
    let made = 0;
    const cut = await this.#cut();
    for await (const consumer of this.#consumersOf(month)) {
      const { id: consumerId } = consumer;
      try {
        const closed = await this.#database.transaction((sql) => this.#close(sql, { consumer, month, cut }));
        if (closed.made) made += 1;
        reports.push(closed.body);
      } catch (error) {
        if (error instanceof Fault && error.code === 'database-unreachable') throw error;
        // One consumer's month must not keep everybody's from being closed.
        failed.push({ consumerId, error });
      }
    }
    if (failed.length === 0) {
      await this.#database.sql`
        insert into sla_months (month, closed_at) values (${name}, ${new Date(this.#clock.wallMs())})
        on conflict do nothing`;
    }
    return { month: name, reports, made, failed };
  }

  /** What closing a month would come to: nothing is kept or booked. A month that is not over is taken up to now. */
  async rehearse(month: number): Promise<SlaReportBody[]> {
    const reports: SlaReportBody[] = [];
    for await (const consumer of this.#consumersOf(month)) {
      reports.push(await this.#estimate(consumer, month));
    }
    return reports;
  }

  /**
   * A consumer's report: the one that was made, or an estimate where none is. Undefined where nothing was agreed with it, or the
   * month has not begun.
   */
  async report(consumerId: string, month: number): Promise<SlaReportBody | undefined> {
    const [kept] = await this.#database.sql<{ body: string }[]>`
      select body from sla_reports where consumer_id = ${consumerId} and month = ${monthName(month)}`;
    if (kept) return bodyOf(kept.body);
    const nowMs = this.#clock.wallMs();
    if (month > monthOf(nowMs)) return undefined;
    const agreed = await agreedIn(this.#database.sql, consumerId, month, nowMs);
    return agreed && (await this.#estimate({ id: consumerId, ...agreed }, month));
  }

  /** Reports that were made, newest month first: of one consumer, of one month, or all. */
  async list(of: { consumerId?: string; month?: string; limit: number }): Promise<SlaReportBody[]> {
    const { consumerId = null, month = null, limit } = of;
    const rows = await this.#database.sql<{ body: string }[]>`
      select body from sla_reports
      where (${consumerId}::text is null or consumer_id = ${consumerId})
        and (${month}::text is null or month = ${month})
      order by month desc, consumer_id limit ${limit}`;
    return rows.map(({ body }) => bodyOf(body));
  }

  /** What reports asked of a provider's pledge, or of every provider's, newest first. */
  async charges(of: { providerId?: string; reportId?: string; limit: number }): Promise<SlaCharge[]> {
    const { providerId = null, reportId = null, limit } = of;
    return await this.#database.sql<SlaCharge[]>`
      select c.report_id as "reportId", c.finding_id as "findingId", c.provider_id as "providerId",
        c.minutes::float8 as minutes, c.share, c.taken, r.month, r.made_at as "madeAt",
        a.decision as appeal, a.reason as "appealReason", q.reason as "askedBecause", q.asked_at as "askedAt"
      from sla_charges c join sla_reports r on r.id = c.report_id
      left join sla_appeals a on a.finding_id = c.finding_id
      left join appeals q on q.subject = c.finding_id
      where (${providerId}::text is null or c.provider_id = ${providerId})
        and (${reportId}::text is null or c.report_id = ${reportId})
      order by r.month desc, c.finding_id limit ${limit}`;
  }

  /**
   * What a charge rests on, computed again from the rows that its report was made from: the minutes that are proven the
   * provider's, and how its requests failed in them. Nothing names the consumer. Undefined when it is not this provider's.
   */
  async evidence(findingId: string, providerId?: string): Promise<ChargeEvidence | undefined> {
    const { sql } = this.#database;
    const [row] = await sql<(KeptReport & { provider: string; consumer: string; month: string })[]>`
      select c.provider_id as provider, r.consumer_id as consumer, r.month, r.body, r.made_at,
        r.entries_cut as entries, r.arrivals_cut as arrivals, r.entries_before as before
      from sla_charges c join sla_reports r on r.id = c.report_id
      where c.finding_id = ${findingId} and c.provider_id = coalesce(${providerId ?? null}, c.provider_id)`;
    const month = row && parseMonth(row.month);
    if (!row || month === undefined) return undefined;
    const { agreed, stand } = asItStood(row);
    const span = { from: monthStart(month), until: monthStart(month + 1) };
    const { facts, result } = await compute(sql, { id: row.consumer, ...agreed }, span, stand);
    const minutes = minutesOf(result, { providerId: row.provider, provenBy: facts.provenBy });
    const failed = await failuresIn(sql, minutes, {
      consumerId: row.consumer,
      providerId: row.provider,
      arrivals: stand.cut?.arrivals,
    });
    return { providerId: row.provider, month: row.month, ...failed };
  }

  /**
   * Decides a provider's appeal against a charge, in one transaction with what follows. Granted: what was taken goes back to
   * its pledge, and the market bears it. The same decision again changes nothing, but what a decision of an older version has
   * left undone. Throws `thing-unknown`, and `conflict` when
   * it was decided otherwise.
   */
  async decideAppeal(appeal: {
    findingId: string;
    decision: 'granted' | 'rejected';
    reason: string;
    actor: string;
  }): Promise<{ known: boolean; dollars: Pico }> {
    const { findingId, decision, reason, actor } = appeal;
    return await this.#database.transaction(async (sql) => {
      const [charge] = await sql`select from sla_charges where finding_id = ${findingId}`;
      if (!charge) throw new Fault('thing-unknown', { outer: 'No report charged this.' });
      // Whoever decides at the same time waits here, and then finds it decided.
      const [made] = await sql`
        insert into sla_appeals (finding_id, decision, reason, actor, at)
        values (${findingId}, ${decision}, ${reason}, ${actor}, ${new Date(this.#clock.wallMs())})
        on conflict do nothing returning finding_id`;
      const [kept] = await sql<{ decision: string }[]>`
        select decision from sla_appeals where finding_id = ${findingId}`;
      if (kept?.decision !== decision) {
        throw new Fault('conflict', { outer: `The appeal was ${kept?.decision} before.` });
      }
      const back = decision === 'granted' ? await this.#collateral.giveBack(sql, findingId) : undefined;
      return { known: made === undefined, dollars: back?.dollars ?? 0n };
    });
  }

  /** Computes a report that was made again, from the rows that it was made from. `late`: requests that arrived since. */
  async recompute(
    consumerId: string,
    month: number,
  ): Promise<{ same: boolean; late: number; kept: SlaReportBody; now: SlaReportBody } | undefined> {
    const { sql } = this.#database;
    const [row] = await sql<KeptReport[]>`
      select body, made_at, entries_cut as entries, arrivals_cut as arrivals, entries_before as before from sla_reports where consumer_id = ${consumerId} and month = ${monthName(month)}`;
    if (!row) return undefined;
    const { kept, agreed, stand } = asItStood(row);
    const { cut } = stand;
    const now = await this.#estimate({ id: consumerId, ...agreed }, month, stand);
    const same = kept.inputs_digest === now.inputs_digest && kept.credit_usd === now.credit_usd;
    const span = { from: monthStart(month), until: monthStart(month + 1) };
    return { same, late: cut ? await arrivedLate(sql, consumerId, span, cut) : 0, kept, now };
  }

  /** A consumer's own minutes of a window; undefined where they are too many (`window-data.ts`). */
  async data(consumerId: string, span: Span): Promise<DataMinute[] | undefined> {
    return await windowData(this.#database.sql, consumerId, span);
  }

  /**
   * Enters a stretch that does not count, for one consumer or (`''`) for everybody. Throws `thing-unknown` when there is no such
   * consumer, and `conflict` for a stretch that is not over: it proves nothing yet.
   */
  async exclude(about: Omit<EnteredExclusion, 'id' | 'enteredMs'>): Promise<EnteredExclusion> {
    const enteredMs = this.#clock.wallMs();
    if (about.untilMs > enteredMs) {
      throw new Fault('conflict', { outer: 'What is not over yet proves nothing: enter it afterwards.' });
    }
    const { sql } = this.#database;
    const [known] =
      about.consumerId === ''
        ? ['everybody']
        : await sql`select id from consumers where id = ${about.consumerId}`;
    if (!known) throw new Fault('thing-unknown', { outer: 'There is no such consumer.' });
    const exclusion = { ...about, id: this.#makeId('exc'), enteredMs };
    await enterExclusion(sql, exclusion);
    return exclusion;
  }

  /** Withdraws an exclusion. Throws `thing-unknown` when there is none that could be. */
  async withdraw(id: string, actor: string): Promise<void> {
    const atMs = this.#clock.wallMs();
    if (await withdrawExclusion(this.#database.sql, { id, actor, atMs })) return;
    throw new Fault('thing-unknown', { outer: 'There is no exclusion of this id that could be withdrawn.' });
  }

  /** What was entered and not withdrawn of a month, for whomever. */
  async exclusions(month: number): Promise<EnteredExclusion[]> {
    const span = { from: monthStart(month), until: monthStart(month + 1) };
    return await enteredExclusions(this.#database.sql, span, this.#clock.wallMs());
  }

  /**
   * Contracts terms with a consumer from a month on, or (`null`) leaves it to its tier's. Nothing is changed of months that are
   * over. Throws `thing-unknown` when there is no such consumer, `request-invalid` for terms that are none, and `conflict`.
   */
  async contract(about: {
    consumerId: string;
    month: number;
    terms: unknown;
    actor: string;
  }): Promise<Contract> {
    const { consumerId, month, actor } = about;
    const atMs = this.#clock.wallMs();
    if (month < monthOf(atMs)) {
      throw new Fault('conflict', { outer: `${monthName(month)} is over: what was agreed for it stays.` });
    }
    const read = contractTermsSchema.nullable().safeParse(about.terms);
    if (!read.success) {
      const [issue] = read.error.issues;
      throw new Fault('request-invalid', { outer: `${issue?.path.join('.') || 'terms'}: ${issue?.message}` });
    }
    const [known] = await this.#database.sql`select id from consumers where id = ${consumerId}`;
    if (!known) throw new Fault('thing-unknown', { outer: 'There is no such consumer.' });
    const contract = {
      consumerId,
      fromMonth: monthName(month),
      terms: read.data ?? undefined,
      actor,
      atMs,
    };
    const version = await this.#database.transaction((sql) => addContract(sql, contract));
    return { ...contract, version };
  }

  /** Every version of what was contracted with a consumer, oldest first. */
  async contracts(consumerId: string): Promise<Contract[]> {
    return await contractsOf(this.#database.sql, consumerId);
  }

  #checkOver(month: number): void {
    if (this.#clock.wallMs() >= monthStart(month + 1) + GRACE_MS) return;
    throw new Fault('conflict', {
      outer: `${monthName(month)} is not over: its credits cannot be booked yet.`,
    });
  }

  async #nextMonth(): Promise<number | undefined> {
    const { sql } = this.#database;
    const closed = await sql<{ month: string; before_all: boolean }[]>`
      select month, before_all from sla_months`;
    const done = new Set(closed.map(({ month }) => parseMonth(month)));
    const before = closed.find((each) => each.before_all);
    const [first] = before
      ? []
      : await sql<{ at: Date | null }[]>`
          select min(at) as at from (select at from entries order by seq limit ${SOME}) as e`;
    let month = before ? (parseMonth(before.month) ?? 0) + 1 : first?.at && monthOf(first.at.getTime());
    if (month === undefined || month === null) return undefined;
    while (done.has(month)) month += 1;
    return this.#clock.wallMs() >= monthStart(month + 1) + SETTLES_AFTER_MS ? month : undefined;
  }

  async *#consumersOf(month: number): AsyncGenerator<AgreedWith> {
    const [from, until] = [new Date(monthStart(month)), new Date(monthStart(month + 1))];
    for (let after = ''; ; ) {
      const rows = await this.#database.sql<{ id: string }[]>`
        select c.id from consumers c
        where c.id > ${after} and c.id <> all(${this.#ourOwn as string[]}::text[]) and (
          exists (select from usage u where u.consumer_id = c.id and u.at >= ${from} and u.at < ${until})
          or exists (
            select from consumer_refusals r where r.consumer_id = c.id and r.at >= ${from} and r.at < ${until}
          )
        )
        order by c.id limit ${CONSUMERS_AT_ONCE}`;
      for (const { id } of rows) {
        const agreed = await agreedIn(this.#database.sql, id, month, this.#clock.wallMs());
        if (agreed) yield { id, ...agreed };
      }
      const last = rows.at(-1);
      if (!last || rows.length < CONSUMERS_AT_ONCE) return;
      after = last.id;
    }
  }

  /** Notes what is there, when all of it is committed: writers wait for a moment. */
  async #cut(): Promise<Omit<Cut, 'before'>> {
    return await this.#database.transaction(async (sql) => {
      await sql`set local lock_timeout = '2s'`;
      await sql`lock table usage, consumer_refusals, probe_minutes, entries in share mode`;
      const [row] = await sql<{ entries: bigint; arrivals: bigint }[]>`
        select coalesce((select seq from entries order by seq desc limit 1), 0)::bigint as entries,
          last_value as arrivals from arrivals`;
      return row ?? { entries: 0n, arrivals: 0n };
    });
  }

  async #close(
    sql: Sql,
    report: { consumer: AgreedWith; month: number; cut: Omit<Cut, 'before'> },
  ): Promise<{ made: boolean; body: SlaReportBody }> {
    const { consumer, month } = report;
    const { id: consumerId, tier, terms } = consumer;
    const name = monthName(month);
    await sql`select pg_advisory_xact_lock(hashtextextended(${`${LOCK} ${consumerId}`}, 0))`;
    const [kept] = await sql<{ body: string }[]>`
      select body from sla_reports where consumer_id = ${consumerId} and month = ${name}`;
    if (kept) return { made: false, body: bodyOf(kept.body) };

    const at = this.#clock.wallMs();
    const span = { from: monthStart(month), until: monthStart(month + 1) };
    const [last] = await sql<{ before: bigint | null }[]>`
      select max(entries_cut)::bigint as before from sla_reports
      where consumer_id = ${consumerId} and entries_cut <= ${report.cut.entries}`;
    const cut = { ...report.cut, before: last?.before ?? undefined };
    const computed = await compute(sql, consumer, span, { asOfMs: at, cut });
    const id = this.#makeId('sla');
    const stakes: StakePart[] = [];
    const entries: Entry[] = [];
    for (const { providerId, minutes, share } of computed.shares) {
      const finding = `${id}:${providerId}`;
      await openAccount(sql, { account: collateralAccount(providerId), kind: 'collateral' });
      const { taken, entry } = await this.#collateral.chargeDollars(sql, {
        id: finding,
        providerId,
        amount: share,
        reason: `Service level of ${name}: ${minutes} unavailable minutes of a consumer, in each of which every request that failed, failed at this provider.`,
        at,
      });
      if (entry) entries.push(entry);
      stakes.push({ finding, providerId, minutes, share, taken });
    }
    const fromStakes = stakes.reduce((sum, { taken }) => sum + taken, 0n);
    const { credit } = computed.result;
    const { fee } = computed.facts;
    const body = reportBody({
      id,
      consumerId,
      month: name,
      madeAtMs: at,
      span,
      tier,
      terms,
      ...computed,
      stakes,
    });
    await sql`
      insert into sla_reports (
        id, consumer_id, month, made_at, terms, inputs_digest, fee, credit, from_stakes, body,
        entries_cut, arrivals_cut, entries_before
      ) values (
        ${id}, ${consumerId}, ${name}, ${new Date(at)}, ${terms.name}, ${computed.digest}, ${fee}, ${credit},
        ${fromStakes}, ${JSON.stringify(body)}, ${cut.entries}, ${cut.arrivals}, ${cut.before ?? null}
      )`;
    for (const { finding, providerId, minutes, share, taken } of stakes) {
      await sql`
        insert into sla_charges (finding_id, report_id, provider_id, minutes, share, taken)
        values (${finding}, ${id}, ${providerId}, ${minutes}, ${share}, ${taken})`;
    }
    if (credit > 0n) {
      await openAccount(sql, { account: consumerAccount(consumerId), kind: 'consumer' });
      const about = { consumerId, month: name, report: id, at, amount: credit, fromStakes };
      await writeEntries(sql, [...entries, slaCreditEntry(about)]);
    }
    return { made: true, body };
  }

  /** As `asOfMs` would have computed it; now, where it is left out. */
  async #estimate(
    consumer: AgreedWith,
    month: number,
    stand: { asOfMs: number; cut: Cut | undefined } = { asOfMs: this.#clock.wallMs(), cut: undefined },
  ): Promise<SlaReportBody> {
    const { asOfMs } = stand;
    const from = monthStart(month);
    const minute = Math.floor(asOfMs / 60_000) * 60_000;
    const until = Math.max(from + 60_000, Math.min(monthStart(month + 1), minute));
    const span = { from, until };
    const computed = await compute(this.#database.sql, consumer, span, stand);
    return reportBody({
      id: null,
      consumerId: consumer.id,
      month: monthName(month),
      madeAtMs: asOfMs,
      span,
      tier: consumer.tier,
      terms: consumer.terms,
      ...computed,
      stakes: [],
    });
  }
}

interface AgreedWith extends Agreed {
  readonly id: string;
}

/** A report as it was kept, with what was there when it was made. */
interface KeptReport {
  readonly body: string;
  readonly made_at: Date;
  readonly entries: bigint | null;
  readonly arrivals: bigint | null;
  readonly before: bigint | null;
}

/** What a report was computed with. */
function asItStood({ body, made_at: madeAt, entries, arrivals, before }: KeptReport) {
  const kept = bodyOf(body);
  const cut =
    entries === null || arrivals === null ? undefined : { entries, arrivals, before: before ?? undefined };
  return {
    kept,
    agreed: {
      tier: kept.tier as TierName,
      terms: termsOf(kept),
      notAgreed: kept.not_agreed.map(inMinutes),
    },
    stand: { asOfMs: madeAt.getTime(), cut },
  };
}

interface Computed {
  readonly facts: MonthFacts;
  readonly exclusions: readonly Exclusion[];
  readonly notAgreed: readonly Stretch[];
  readonly result: SlaResult;
  readonly digest: string;
  readonly shares: ReturnType<typeof providerShares>;
}

async function compute(
  sql: Sql,
  { id, terms, notAgreed: all }: AgreedWith,
  span: Span,
  stand: { asOfMs: number; cut: Cut | undefined },
): Promise<Computed> {
  const { asOfMs } = stand;
  const facts = await factsOf(sql, id, span, stand);
  const exclusions = await exclusionsFor(sql, id, span, asOfMs);
  const { minutes, hours, fee, provenBy } = facts;
  const [from, until] = [span.from / 60_000, span.until / 60_000];
  const notAgreed = all
    .map((each) => ({ from: Math.max(each.from, from), until: Math.min(each.until, until) }))
    .filter((each) => each.from < each.until);
  // Left out where there are none: reports of before have no such field in their digest.
  const month = {
    from,
    until,
    minutes,
    hours,
    exclusions,
    fee,
    ...(notAgreed.length > 0 && { notAgreed }),
  };
  const result = slaCredits(month, terms);
  return {
    facts,
    exclusions,
    notAgreed,
    result,
    digest: digestOf({ month, terms, setAside: facts.setAside, provenBy }),
    shares: providerShares(result, provenBy),
  };
}

function inMinutes({ from, until }: { from: string; until: string }): Stretch {
  return { from: Date.parse(from) / 60_000, until: Date.parse(until) / 60_000 };
}

function bodyOf(text: string): SlaReportBody {
  return slaReportSchema.parse(JSON.parse(text));
}

function termsOf({ terms }: SlaReportBody): SlaTerms {
  return {
    name: terms.name,
    availabilityPpm: terms.availability_ppm,
    minuteFailsAbovePpm: terms.minute_fails_above_ppm,
    availabilityCredit: {
      stepPpm: terms.availability_credit.step_ppm,
      basisPoints: terms.availability_credit.basis_points,
    },
    latencyCredit: {
      ttftP95Ms: terms.latency_credit.ttft_p95_ms,
      hours: terms.latency_credit.hours,
      basisPoints: terms.latency_credit.basis_points,
      requestsMin: terms.latency_credit.requests_min,
    },
    capBasisPoints: terms.cap_basis_points,
    maintenance: {
      noticeMinutes: terms.maintenance.notice_minutes,
      minutesMax: terms.maintenance.minutes_max,
    },
  };
}
