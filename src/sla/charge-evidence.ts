import type { Sql } from '#db/database.ts';
import type { SlaResult } from '#reliability/credits.ts';
import { PROVEN_BY } from './who-pays.ts';

/**
 * What a charge of a provider rests on: the minutes that count and are proven its own, and how requests failed at it in them.
 * It is computed from the rows that the report was made from, and no word of it names the consumer.
 */
export interface ChargeEvidence {
  readonly providerId: string;
  readonly month: string;
  /** In the order of time; at most `EVIDENCE_ROWS_MAX`. */
  readonly failures: readonly FailedAt[];
  /** More minutes and models than are told. */
  readonly more: boolean;
}

export interface FailedAt {
  /** Wall milliseconds, a whole minute. */
  readonly minute: number;
  readonly modelId: string;
  readonly code: string;
  readonly requests: number;
}

const EVIDENCE_ROWS_MAX = 1_000;

/** The minutes of a result that are proven one provider's, as `providerShares` counts them. */
export function minutesOf(
  result: Pick<SlaResult, 'unavailable' | 'excluded'>,
  { providerId, provenBy }: { providerId: string; provenBy: ReadonlyMap<number, string> },
): number[] {
  const excluded = new Set(result.excluded.map(({ minute }) => minute));
  return result.unavailable.filter((minute) => !excluded.has(minute) && provenBy.get(minute) === providerId);
}

/** How a consumer's requests failed at a provider in these minutes. `arrivals`: the last row that the report saw. */
export async function failuresIn(
  sql: Sql,
  minutes: readonly number[],
  about: { consumerId: string; providerId: string; arrivals: bigint | undefined },
): Promise<{ failures: FailedAt[]; more: boolean }> {
  if (minutes.length === 0) return { failures: [], more: false };
  const at = minutes.map((minute) => new Date(minute * 60_000).toISOString());
  const [first, last] = [Math.min(...minutes), Math.max(...minutes)];
  const seen =
    about.arrivals === undefined ? sql`` : sql`and (arrival is null or arrival <= ${about.arrivals})`;
  const rows = await sql<{ minute: Date; model: string; code: string; requests: number }[]>`
    select date_trunc('minute', at, 'UTC') as minute, model_id as model, error_code as code, count(*)::float8 as requests
    from usage
    where consumer_id = ${about.consumerId} and provider_id = ${about.providerId} ${seen}
      and at >= ${new Date(first * 60_000)} and at < ${new Date((last + 1) * 60_000)}
      and error_code = any(${PROVEN_BY as string[]}::text[])
      and date_trunc('minute', at, 'UTC') = any(${at}::text[]::timestamptz[])
    group by 1, 2, 3 order by 1, model_id collate "C", error_code collate "C" limit ${EVIDENCE_ROWS_MAX + 1}`;
  return {
    failures: rows.slice(0, EVIDENCE_ROWS_MAX).map(({ minute, model, code, requests }) => ({
      minute: minute.getTime(),
      modelId: model,
      code,
      requests,
    })),
    more: rows.length > EVIDENCE_ROWS_MAX,
  };
}
