import type { Sql } from '#db/database.ts';
import type { Exclusion, ExclusionKind } from '#reliability/credits.ts';
import { exclusionOf, type MaintenanceWindow, windowsSince } from '#reliability/maintenance.ts';
import { OUR_FAULTS, type Span } from './facts.ts';

/**
 * Stretches that do not count, entered by the operator with what proves them. Maintenance is not among them: it is announced
 * ahead (`reliability/maintenance.ts`), and read from there. An exclusion can be withdrawn; a report that was made stays.
 */
export interface EnteredExclusion {
  readonly id: string;
  /** `''`: everybody. */
  readonly consumerId: string;
  readonly kind: EnteredKind;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly evidence: string;
  readonly actor: string;
  readonly enteredMs: number;
}

type EnteredKind = Exclude<ExclusionKind, 'maintenance'>;

export const ENTERED_KINDS = [
  'customer-network',
  'over-quota',
  'force-majeure',
  'above-tier-limits',
  'misuse',
] as const satisfies readonly EnteredKind[];

const LISTED = 500;

export async function enterExclusion(sql: Sql, about: EnteredExclusion): Promise<void> {
  await sql`
    insert into sla_exclusions (id, consumer_id, kind, from_at, until_at, evidence, actor, entered_at)
    values (
      ${about.id}, ${about.consumerId}, ${about.kind}, ${new Date(about.fromMs)}, ${new Date(about.untilMs)},
      ${about.evidence}, ${about.actor}, ${new Date(about.enteredMs)}
    )`;
}

/** False when there is no such exclusion, or it was withdrawn before. */
export async function withdrawExclusion(
  sql: Sql,
  { id, actor, atMs }: { id: string; actor: string; atMs: number },
): Promise<boolean> {
  const [row] = await sql`
    update sla_exclusions set withdrawn_at = ${new Date(atMs)}, withdrawn_by = ${actor}
    where id = ${id} and withdrawn_at is null returning id`;
  return row !== undefined;
}

/** What was entered and not withdrawn by `asOfMs`, touching the span, in the order of time. */
export async function enteredExclusions(
  sql: Sql,
  { from, until }: Span,
  asOfMs: number,
  consumerId?: string,
): Promise<EnteredExclusion[]> {
  const rows = await sql<
    {
      id: string;
      consumer_id: string;
      kind: EnteredKind;
      from_at: Date;
      until_at: Date;
      evidence: string;
      actor: string;
      entered_at: Date;
    }[]
  >`
    select id, consumer_id, kind, from_at, until_at, evidence, actor, entered_at from sla_exclusions
    where from_at < ${new Date(until)} and until_at > ${new Date(from)} and entered_at <= ${new Date(asOfMs)}
      and (withdrawn_at is null or withdrawn_at > ${new Date(asOfMs)})
      and (${consumerId ?? null}::text is null or consumer_id in ('', ${consumerId ?? ''}))
    order by from_at, id limit ${LISTED}`;
  return rows.map((row) => ({
    id: row.id,
    consumerId: row.consumer_id,
    kind: row.kind,
    fromMs: row.from_at.getTime(),
    untilMs: row.until_at.getTime(),
    evidence: row.evidence,
    actor: row.actor,
    enteredMs: row.entered_at.getTime(),
  }));
}

/**
 * Everything that may exclude minutes of a consumer's span, as the agreement reads it. Maintenance of one model does so where
 * all of the consumer's requests that failed in it were of that model.
 */
export async function exclusionsFor(
  sql: Sql,
  consumerId: string,
  span: Span,
  asOfMs: number,
): Promise<Exclusion[]> {
  const announced = (await windowsSince(sql, span.from)).filter(
    (each) => each.fromMs < span.until && each.announcedMs <= asOfMs,
  );
  const windows: MaintenanceWindow[] = [];
  for (const window of announced) {
    // oxlint-disable-next-line no-await-in-loop -- a few windows a month.
    if (window.modelId === '' || (await failedOnlyBy(sql, consumerId, window))) windows.push(window);
  }
  const entered = await enteredExclusions(sql, span, asOfMs, consumerId);
  return [
    ...windows.map(exclusionOf),
    ...entered.map((each) => ({
      id: each.id,
      kind: each.kind,
      from: Math.floor(each.fromMs / 60_000),
      until: Math.ceil(each.untilMs / 60_000),
      evidence: each.evidence,
    })),
  ];
}

async function failedOnlyBy(sql: Sql, consumerId: string, window: MaintenanceWindow): Promise<boolean> {
  const [since, to] = [new Date(window.fromMs), new Date(window.untilMs)];
  const rows = await sql<{ model_id: string }[]>`
    select distinct model_id from usage
    where consumer_id = ${consumerId} and at >= ${since} and at < ${to} and error_code = any(${OUR_FAULTS as string[]}::text[])
    union
    select distinct model_id from consumer_refusals
    where consumer_id = ${consumerId} and at >= ${since} and at < ${to} and code = any(${OUR_FAULTS as string[]}::text[])`;
  return rows.length > 0 && rows.every(({ model_id: modelId }) => modelId === window.modelId);
}
