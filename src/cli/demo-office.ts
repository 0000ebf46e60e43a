import { AppealDesk } from '#benchmark/appeals.ts';
import type { Database } from '#db/database.ts';
import { PICO_PER_USD, type Pico } from '#domain/money.ts';
import { dayOf, monthOf, monthStart } from '#domain/window.ts';
import type { Collateral } from '#funds/collateral.ts';
import { receive } from '#funds/deposits.ts';
import { OperatorLog } from '#identity/operator-log.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { keepRefusals, type RefusedMinute } from '#reliability/refusals.ts';
import { Rewarder } from '#rewards/day.ts';
import { setTerms } from '#rewards/terms.ts';
import { SlaDesk } from '#sla/desk.ts';

/** What happens in the demo month beside trade: cards, rewards, service levels, appeals, and what operators do. */
export interface DemoOffice {
  readonly database: Database;
  readonly clock: Clock & { set(wallMs: number): void };
  readonly ids: IdMaker;
}

const CENT: Pico = PICO_PER_USD / 100n;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Money by card, as if its service had told of it: a checkout that was opened, and what came of it. */
export async function payByCard(
  { database, clock, ids }: DemoOffice,
  consumerId: string,
  amount: Pico,
): Promise<void> {
  const at = clock.wallMs();
  const [checkout, session] = [ids('chk'), ids('cs_demo')];
  await database.transaction(async (sql) => {
    await sql`
      insert into card_checkouts (id, consumer_id, cents, session_id, created_at)
      values (${checkout}, ${consumerId}, ${amount / CENT}, ${session}, ${new Date(at - MINUTE_MS)})`;
    await receive(sql, at, {
      id: `card:${ids('pi_demo')}`,
      method: 'card',
      consumerId,
      asset: 'USD',
      units: amount,
      value: amount,
      bonus: 0n,
      state: 'booked',
      source: session,
      receivedAt: at,
    });
  });
}

/** SWAN for the days of the month: terms from its first day on, and every day that is over. Answers how many days. */
export async function rewardDays(
  office: DemoOffice & { log: Logger },
  about: { first: number; now: number },
): Promise<number> {
  const { database, clock, log } = office;
  clock.set(about.first);
  await setTerms(database, {
    effectiveDay: dayOf(about.first),
    pool: 50_000n * 10n ** 18n,
    phase: 1,
    ubiBps: 1_000,
    setAt: about.first,
  });
  clock.set(about.now);
  const { rewarded } = await new Rewarder({ database, clock, log }).round();
  return rewarded.length;
}

/**
 * The morning of the month's second day on which a model had nobody, for the consumer with an agreement. It is in the month before
 * unless that one ended with the first day; then there is no such morning.
 */
export function badMorning(first: number, now: number): { from: number; minutes: number } | undefined {
  const from = first + 9 * HOUR_MS;
  const inMonthBefore = monthOf(from) < monthOf(now) && from + DAY_MS <= monthStart(monthOf(now));
  return inMonthBefore ? { from, minutes: 80 } : undefined;
}

/** The refusals of that morning, a request a minute. */
export async function refuseAll(
  { database, ids }: DemoOffice,
  about: { consumerId: string; modelId: string; from: number; minutes: number },
): Promise<RefusedMinute[]> {
  const cells = Array.from({ length: about.minutes }, (_, n) => ({
    minute: Math.floor(about.from / MINUTE_MS) + n,
    consumerId: about.consumerId,
    modelId: about.modelId,
    code: 'model-without-provider',
    requests: 1,
  }));
  await keepRefusals(database, ids('demo'), cells);
  return cells;
}

/** Closes the months that are over, with what service levels give back. Answers how many credits were given. */
export async function closeAgreements(office: DemoOffice, collateral: Collateral): Promise<number> {
  const { database, clock, ids } = office;
  const outcomes = await new SlaDesk({ database, collateral, clock, makeId: ids }).round();
  return outcomes.flatMap(({ reports }) => reports).filter(({ credit_usd: credit }) => Number(credit) > 0)
    .length;
}

/** A provider that failed a benchmark asks for another look, and waits for an operator. */
export async function appeal(
  { database }: DemoOffice,
  about: { providerId: string; at: number },
): Promise<void> {
  const desk = new AppealDesk(database);
  const [failed] = await desk.appealable(about.providerId, about.at);
  if (!failed) return;
  await desk.ask({
    about: failed.about,
    providerId: about.providerId,
    reason: 'Our machine was restarted by its power supply during the run. It has passed every run since.',
    actor: about.providerId,
    at: about.at,
  });
}

/** Deeds of an operator, as the log has them. What they changed is what the month shows. */
export async function noteDeeds(
  { database, clock, ids }: DemoOffice,
  about: { operatorId: string; deeds: readonly DemoDeed[] },
): Promise<void> {
  const log = new OperatorLog({ database, clock, makeId: ids });
  for (const { at, what, subject, asked, before, after, code } of about.deeds) {
    clock.set(at);
    const id = await log.begin({
      actor: about.operatorId,
      what,
      about: subject,
      address: '198.51.100.7',
      asked,
    });
    clock.set(at + 400);
    await log.end(id, {
      outcome: code === undefined ? 'done' : 'refused',
      ...(code !== undefined && { code }),
      before,
      after,
    });
  }
}

export interface DemoDeed {
  readonly at: number;
  readonly what: string;
  readonly subject: string;
  readonly asked: Readonly<Record<string, unknown>>;
  readonly before?: unknown;
  readonly after?: unknown;
  /** Of the refusal, where it was refused. */
  readonly code?: string;
}
