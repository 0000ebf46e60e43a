import { z } from 'zod';
import type { Sql } from '#db/database.ts';
import { SLA_OF_TIER, type SlaTerms } from '#reliability/sla-terms.ts';

/**
 * Terms that were contracted with single accounts, in the place of their tier's: versions for whole months, added and never
 * changed. The newest version that has begun by a month counts for it.
 */
export interface Contract {
  readonly consumerId: string;
  readonly version: number;
  /** `2026-11`: the first month that it counts for. */
  readonly fromMonth: string;
  /** Undefined: from then on the terms of the tier. */
  readonly terms: SlaTerms | undefined;
  readonly actor: string;
  readonly atMs: number;
}

const whole = (least: number, most: number) => z.int().min(least).max(most);

/** Terms as they are written down. A credit is never more than what was paid. */
export const contractTermsSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'small letters, digits, dots and hyphens'),
  availabilityPpm: whole(1, 999_999),
  minuteFailsAbovePpm: whole(0, 999_999),
  availabilityCredit: z.strictObject({ stepPpm: whole(1, 1_000_000), basisPoints: whole(0, 10_000) }),
  latencyCredit: z.strictObject({
    ttftP95Ms: whole(1, 600_000),
    hours: whole(1, 744),
    basisPoints: whole(0, 10_000),
    requestsMin: whole(1, 1_000_000_000),
  }),
  capBasisPoints: whole(0, 10_000),
  maintenance: z.strictObject({ noticeMinutes: whole(0, 525_600), minutesMax: whole(0, 44_640) }),
});

/** Adds the next version; the caller's transaction keeps two from being the same. */
export async function addContract(sql: Sql, contract: Omit<Contract, 'version'>): Promise<number> {
  const { consumerId, fromMonth, terms, actor, atMs } = contract;
  await sql`select pg_advisory_xact_lock(hashtextextended(${`sla contract ${consumerId}`}, 0))`;
  const [row] = await sql<{ version: number }[]>`
    insert into sla_contracts (consumer_id, version, from_month, terms, actor, at)
    select ${consumerId}, coalesce(max(version), 0) + 1, ${fromMonth}, ${terms ? JSON.stringify(terms) : null},
      ${actor}, ${new Date(atMs)}
    from sla_contracts where consumer_id = ${consumerId}
    returning version::integer as version`;
  return row?.version ?? 0;
}

/** The contracted terms of a month as they stood at `asOfMs`; undefined where there are none. */
export async function contractIn(
  sql: Sql,
  consumerId: string,
  month: string,
  asOfMs: number,
): Promise<SlaTerms | undefined> {
  const [row] = await sql<{ terms: string | null }[]>`
    select terms from sla_contracts
    where consumer_id = ${consumerId} and from_month <= ${month} and at <= ${new Date(asOfMs)}
    order by version desc limit 1`;
  return row?.terms ? contractTermsSchema.parse(JSON.parse(row.terms)) : undefined;
}

/** Every version of a consumer, oldest first. */
export async function contractsOf(sql: Sql, consumerId: string): Promise<Contract[]> {
  const rows = await sql<
    { version: number; from_month: string; terms: string | null; actor: string; at: Date }[]
  >`
    select version::integer as version, from_month, terms, actor, at from sla_contracts
    where consumer_id = ${consumerId} order by version`;
  return rows.map((row) => ({
    consumerId,
    version: row.version,
    fromMonth: row.from_month,
    terms: row.terms === null ? undefined : contractTermsSchema.parse(JSON.parse(row.terms)),
    actor: row.actor,
    atMs: row.at.getTime(),
  }));
}

/** Everybody who has a contract in a month, by terms of its own or by the plan Business, with the share of minutes promised. */
export async function contractedShares(sql: Sql, month: string): Promise<Map<string, number>> {
  const rows = await sql<{ consumer: string; terms: string | null }[]>`
    with latest as (
      select distinct on (consumer_id) consumer_id, terms from sla_contracts where from_month <= ${month}
      order by consumer_id, version desc
    )
    select c.id as consumer, l.terms from consumers c left join latest l on l.consumer_id = c.id
    where l.terms is not null or c.plan = 'business'`;
  const business = SLA_OF_TIER.business?.availabilityPpm;
  return new Map(
    rows.flatMap(({ consumer, terms }) => {
      const ppm = terms ? contractTermsSchema.parse(JSON.parse(terms)).availabilityPpm : business;
      return ppm === undefined ? [] : [[consumer, ppm / 1e6] as const];
    }),
  );
}
