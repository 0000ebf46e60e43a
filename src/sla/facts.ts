import { createHash } from 'node:crypto';
import type { Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { monthStart, parseMonth } from '#domain/window.ts';
import { consumerAccount, RECEIVABLE } from '#ledger/chart.ts';
import { spentMoney } from '#ledger/spent-money.ts';
import type { ExclusionKind, SlaHour, SlaMinute } from '#reliability/credits.ts';
import { gapsIn, type MarketGap } from '#reliability/market-life.ts';
import { ERRORS, type ErrorCode } from '#wire/errors.ts';
import { PROVEN_BY } from './who-pays.ts';

/**
 * What a consumer's month was, read from what serving left behind: its requests in the usage list, what was refused before
 * anybody was asked, probes of the models that it used, and what it paid. The rows are kept for good and never change, so the
 * same month reads the same again.
 */
export interface MonthFacts {
  readonly minutes: readonly SlaMinute[];
  readonly hours: readonly SlaHour[];
  /** Requests that count neither way, by the reason. */
  readonly setAside: readonly SetAside[];
  /** Of what was charged, less what was given back, and of fees of plans: what was paid in. */
  readonly fee: Pico;
  /** Gaps in which the whole market was down. */
  readonly gaps: readonly MarketGap[];
  /** Minutes whose failures are proven one provider's. */
  readonly provenBy: ReadonlyMap<number, string>;
}

export interface SetAside {
  readonly kind: ExclusionKind | 'customer-request';
  readonly code: string;
  readonly requests: number;
}

/** Wall milliseconds, whole minutes. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

/**
 * What was there when a report was made. What arrives afterwards, out of the journal of a gateway that was away for example, is
 * none of its rows: its money counts in the account's next report, with what was given back late; its minutes are closed.
 */
export interface Cut {
  /** The last entry of the ledger. */
  readonly entries: bigint;
  /** The last row of how the market served. */
  readonly arrivals: bigint;
  /** The newest `entries` of the account's reports before; undefined where there is none. */
  readonly before: bigint | undefined;
}

/** Codes of failures that count against the market. */
export const OUR_FAULTS: readonly string[] = Object.entries(ERRORS)
  .filter(([, { spendsBudget }]) => spendsBudget)
  .map(([code]) => code);

/** What was served to an account this long before the month is still what it uses. */
const SERVED_BEFORE_MS = 31 * 86_400_000;

/** Not an error: the consumer's own user is the provider. What one does to oneself, nobody else pays for. */
const OWN_PROVIDER = 'own-provider';

const KINDS: { readonly [code in ErrorCode]?: ExclusionKind } = {
  'client-left': 'customer-network',
  'client-too-slow': 'customer-network',
  'rate-limited': 'over-quota',
  'too-many-at-once': 'over-quota',
  'balance-short': 'over-quota',
  'key-cap-reached': 'over-quota',
  'prompt-too-long': 'above-tier-limits',
  'body-too-large': 'above-tier-limits',
  'prompt-too-large-for-providers': 'above-tier-limits',
  'request-quarantined': 'misuse',
};

export async function factsOf(
  sql: Sql,
  consumerId: string,
  { from, until }: Span,
  { asOfMs, cut }: { asOfMs: number; cut: Cut | undefined },
): Promise<MonthFacts> {
  const seen = cut ? sql`and (arrival is null or arrival <= ${cut.arrivals})` : sql``;
  const [since, to, servedSince] = [new Date(from), new Date(until), new Date(from - SERVED_BEFORE_MS)];
  const minutes = await sql<
    { minute: number; requests: number; failures: number; proven: number; first: string; last: string }[]
  >`
    with own as (select provider_id from users where consumer_id = ${consumerId} and provider_id is not null),
    -- What was never served to it, it can ask for at will: such a refusal proves no outage.
    served as (
      select distinct model_id from usage
      where consumer_id = ${consumerId} and at >= ${servedSince} and at < ${to} and error_code is null ${seen}
    ),
    asked as (
      select date_trunc('minute', at, 'UTC') as at, 1::bigint as requests,
        case when error_code is null then 0 else 1 end as failures,
        case when error_code = any(${PROVEN_BY as string[]}::text[]) and provider_id in (select id from providers)
          and (attempts = 1 or outcome = 'broken') then provider_id end as proven
      from usage where consumer_id = ${consumerId} and at >= ${since} and at < ${to}
        and (error_code is null or error_code = any(${OUR_FAULTS as string[]}::text[]))
        and (provider_id is null or provider_id not in (select provider_id from own)) ${seen}
      union all
      select at, requests, requests, null from consumer_refusals
      where consumer_id = ${consumerId} and at >= ${since} and at < ${to} and code = any(${OUR_FAULTS as string[]}::text[])
        and model_id in (select model_id from served) ${seen}
    )
    select (extract(epoch from at) / 60)::float8 as minute, sum(requests)::float8 as requests,
      sum(failures)::float8 as failures, count(proven)::float8 as proven, min(proven) as first, max(proven) as last
    from asked group by at order by at`;
  const probes = await sql<{ minute: number; probes: number; failures: number }[]>`
    with used as (
      select distinct model_id from usage
      where consumer_id = ${consumerId} and at >= ${servedSince} and at < ${to} and error_code is null ${seen}
    )
    select (extract(epoch from at) / 60)::float8 as minute, sum(probes)::float8 as probes,
      sum(failures)::float8 as failures
    from probe_minutes where region = '' and at >= ${since} and at < ${to}
      and model_id in (select model_id from used) ${seen}
    group by at order by at`;
  const hours = await sql<{ hour: number; requests: number; p95: number }[]>`
    select floor(extract(epoch from at) / 3600)::float8 as hour, count(*)::float8 as requests,
      percentile_disc(0.95) within group (order by ttft_ms)::float8 as p95
    from usage where consumer_id = ${consumerId} and at >= ${since} and at < ${to}
      ${seen} and ttft_ms is not null and (error_code is null or error_code = any(${OUR_FAULTS as string[]}::text[]))
      and not exists (
        select from users own where own.consumer_id = ${consumerId} and own.provider_id = usage.provider_id
      )
    group by 1 order by 1`;
  const aside = await sql<{ code: string; requests: number }[]>`
    select code, sum(requests)::float8 as requests from (
      select error_code as code, 1::bigint as requests from usage
      where consumer_id = ${consumerId} and at >= ${since} and at < ${to}
        ${seen} and error_code is not null and error_code <> all(${OUR_FAULTS as string[]}::text[])
        and not exists (
          select from users own where own.consumer_id = ${consumerId} and own.provider_id = usage.provider_id
        )
      union all
      select ${OWN_PROVIDER}, 1 from usage join users own
        on own.consumer_id = usage.consumer_id and own.provider_id = usage.provider_id
      where usage.consumer_id = ${consumerId} and at >= ${since} and at < ${to} ${seen}
      union all
      select code, requests from consumer_refusals
      where consumer_id = ${consumerId} and at >= ${since} and at < ${to} and code <> all(${OUR_FAULTS as string[]}::text[])
        ${seen}
    ) as rows group by code order by code collate "C"`;
  const fee = await feeOf(sql, consumerId, { from, until }, cut);
  const gaps = await gapsSeenBy(sql, consumerId, { from, until }, asOfMs);
  return {
    gaps,
    minutes: withGaps(joined(minutes, probes), gaps),
    hours: hours.map(({ hour, requests, p95 }) => ({ hour, requests, ttftP95Ms: p95 })),
    setAside: aside.map(({ code, requests }) => ({
      kind: code === OWN_PROVIDER ? 'misuse' : (KINDS[code as ErrorCode] ?? 'customer-request'),
      code,
      requests,
    })),
    fee,
    provenBy: new Map(
      minutes
        .filter(({ failures, proven, first, last }) => failures > 0 && proven === failures && first === last)
        .map(({ minute, first }) => [minute, first]),
    ),
  };
}

/**
 * What a consumer paid for a month: of its charges, less what was given back, and of fees of plans that began in it, what was
 * paid in (`spentMoney`); less what the account owes for card money that went back, for that was not paid either. With a
 * credit on money that was given, whoever serves itself could gain.
 */
async function feeOf(sql: Sql, consumerId: string, span: Span, cut: Cut | undefined): Promise<Pico> {
  const at = cut?.entries;
  let paid = await paidIn(sql, consumerId, [span], at);
  if (cut?.before !== undefined) {
    const reported = await sql<{ month: string }[]>`
      select month from sla_reports where consumer_id = ${consumerId} and entries_cut <= ${cut.before}`;
    const spans = reported.flatMap(({ month }) => {
      const number = parseMonth(month);
      return number === undefined ? [] : [{ from: monthStart(number), until: monthStart(number + 1) }];
    });
    // What came to the months of earlier reports since: charges that were handed in late, less what was given back late.
    paid += (await paidIn(sql, consumerId, spans, at)) - (await paidIn(sql, consumerId, spans, cut.before));
  }
  const left = paid - (await owedBy(sql, consumerId, at));
  return left > 0n ? left : 0n;
}

async function paidIn(
  sql: Sql,
  consumerId: string,
  spans: readonly Span[],
  cut: bigint | undefined,
): Promise<Pico> {
  const until = Math.max(0, ...spans.map((each) => each.until));
  const from = spans.map((each) => new Date(each.from).toISOString());
  const to = spans.map((each) => new Date(each.until).toISOString());
  const [row] = await sql<{ paid: Pico }[]>`
    with ${spentMoney(sql, { consumers: consumerId, until, cut })}
    select coalesce(sum(paid), 0)::numeric as paid
    from spent join unnest(${from}::text[], ${to}::text[]) as span(since, before)
      on at >= since::timestamptz and at < before::timestamptz`;
  return row?.paid ?? 0n;
}

/** What an account owes for card money that went back. */
async function owedBy(sql: Sql, consumerId: string, cut: bigint | undefined): Promise<Pico> {
  const there = cut === undefined ? sql`` : sql`and e.seq <= ${cut}`;
  const [row] = await sql<{ owed: Pico }[]>`
    with about as (
      select e.* from card_reversals r join entries e on e.id in ('reversal:' || r.id, 'reinstatement:' || r.id)
      where r.consumer_id = ${consumerId} ${there}
      union all
      select e.* from entries e
      where exists (select from card_reversals where consumer_id = ${consumerId})
        and e.kind = 'collection' and e.accounts @> array[${consumerAccount(consumerId)}]::text[] ${there}
    )
    select coalesce(-sum(leg.amount), 0)::numeric as owed
    from about cross join unnest(about.accounts, about.amounts) as leg(account, amount)
    where leg.account = ${RECEIVABLE}`;
  return row?.owed ?? 0n;
}

/** How many requests of a span arrived after a report of it was made. */
export async function arrivedLate(sql: Sql, consumerId: string, span: Span, cut: Cut): Promise<number> {
  const [since, to] = [new Date(span.from), new Date(span.until)];
  const [row] = await sql<{ late: number }[]>`
    select (
      (select count(*) from usage
        where consumer_id = ${consumerId} and at >= ${since} and at < ${to} and arrival > ${cut.arrivals})
      + (select coalesce(sum(requests), 0) from consumer_refusals
        where consumer_id = ${consumerId} and at >= ${since} and at < ${to} and arrival > ${cut.arrivals})
    )::float8 as late`;
  return row?.late ?? 0;
}

/** Gaps within the span; what was before the account was opened was nobody's trouble. */
async function gapsSeenBy(sql: Sql, consumerId: string, span: Span, asOfMs: number): Promise<MarketGap[]> {
  const [row] = await sql<{ created_at: Date }[]>`select created_at from consumers where id = ${consumerId}`;
  const from = Math.max(span.from, row?.created_at.getTime() ?? span.from);
  const gaps = await gapsIn(sql, { from, until: span.until }, asOfMs);
  return gaps.map(({ fromMs, untilMs }) => ({
    fromMs: Math.max(fromMs, from),
    untilMs: Math.min(untilMs, span.until),
  }));
}

/** Marks the whole minutes of gaps. A minute that is a gap's in part proves nothing. */
function withGaps(minutes: readonly SlaMinute[], gaps: readonly MarketGap[]): SlaMinute[] {
  const all = new Map(minutes.map((each) => [each.minute, each]));
  for (const { fromMs, untilMs } of gaps) {
    for (let minute = Math.ceil(fromMs / 60_000); (minute + 1) * 60_000 <= untilMs; minute++) {
      const there = all.get(minute) ?? { minute, requests: 0, failures: 0, probes: 0, probeFailures: 0 };
      if (there.requests === 0) all.set(minute, { ...there, marketDown: true });
    }
  }
  return [...all.values()].toSorted((a, b) => a.minute - b.minute);
}

function joined(
  asked: readonly { minute: number; requests: number; failures: number }[],
  probed: readonly { minute: number; probes: number; failures: number }[],
): SlaMinute[] {
  const all = new Map<number, SlaMinute>(
    asked.map(({ minute, requests, failures }) => [
      minute,
      { minute, requests, failures, probes: 0, probeFailures: 0 },
    ]),
  );
  for (const { minute, probes, failures } of probed) {
    const there = all.get(minute) ?? { minute, requests: 0, failures: 0 };
    all.set(minute, { ...there, probes, probeFailures: failures });
  }
  return [...all.values()].toSorted((a, b) => a.minute - b.minute);
}

/** SHA-256 of a value as JSON, amounts as decimal texts: the same value has the same digest. */
export function digestOf(value: unknown): string {
  const text = JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? each.toString() : each instanceof Map ? [...each] : each,
  );
  return createHash('sha256').update(text).digest('hex');
}
