import type { Database } from '#db/database.ts';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { monthOf, monthStart } from '#domain/window.ts';
import { Collateral } from '#funds/collateral.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { Book } from '#ledger/book.ts';
import { SlaDesk } from '#sla/desk.ts';
import type { Receipt, Shopper } from './game-day-traffic.ts';

/** What a game day's month comes to for one consumer: by hand, and as the market booked it. */
export interface Credit {
  readonly tier: string;
  readonly byHand: Sum;
  readonly booked: Sum;
}

interface Sum {
  readonly minutes: number;
  readonly fee: Pico;
  readonly credit: Pico;
}

const MINUTE_MS = 60_000;
const DAYS_UNTIL_CLOSED = 2;
const DAY_MS = 86_400_000;

/**
 * The agreement worked out from a consumer's own notes, with pencil and paper: a minute counts as down when more than one in
 * twenty of its requests failed. Shares nothing with `reliability/credits.ts` but the words of the agreement.
 */
function creditByHand(receipts: readonly Receipt[], minutesOfMonth: number): Sum {
  const minutes = new Map<number, { asked: number; failed: number }>();
  for (const { sentMs, whole } of receipts) {
    const minute = Math.floor(sentMs / MINUTE_MS);
    const { asked, failed } = minutes.get(minute) ?? { asked: 0, failed: 0 };
    minutes.set(minute, { asked: asked + 1, failed: failed + (whole ? 0 : 1) });
  }
  const down = [...minutes.values()].filter(({ asked, failed }) => failed * 20 > asked).length;
  const fee = receipts.reduce((sum, { cost }) => sum + cost, 0n);
  // How many thousandths of the month were missed beyond the one that may be, each begun one whole; five of them are the most.
  const beyond = Math.max(0, Math.ceil((down * 1_000) / minutesOfMonth - 1));
  const steps = BigInt(Math.min(beyond, 5));
  return { minutes: down, fee, credit: (fee * 5n * steps) / 100n };
}

/** Closes the month, by a clock that is ahead, and compares each paying consumer's credit; twice, since the second must book nothing. */
export async function closeMonth(about: {
  database: Database;
  clock: Clock;
  makeId: IdMaker;
  shoppers: readonly Shopper[];
  receipts: readonly Receipt[];
}): Promise<{ credits: Credit[]; problems: string[] }> {
  const { database, makeId, shoppers, receipts } = about;
  const month = monthOf(about.clock.wallMs());
  const closedMs = monthStart(month + 1) + DAYS_UNTIL_CLOSED * DAY_MS;
  const minutesOfMonth = (monthStart(month + 1) - monthStart(month)) / MINUTE_MS;
  const clock: Clock = { ...about.clock, wallMs: () => closedMs };
  const collateral = new Collateral({ database, chain: undefined, clock, makeId, log: silentLog });
  const desk = new SlaDesk({ database, collateral, clock, makeId });
  const book = new Book({ database, instance: 'operator', clock, log: silentLog });
  const paying = shoppers.filter(({ tier }) => tier !== 'hobby');
  const balances = async (): Promise<Pico[]> =>
    await Promise.all(paying.map(async ({ id }) => (await book.balance(id)).total));

  const before = await balances();
  const { reports, failed } = await desk.run(month);
  const after = await balances();
  const again = await desk.run(month);
  const problems = failed.map(({ consumerId }) => `The month of ${consumerId} could not be closed.`);
  if (again.made > 0) problems.push('Closing the month again made reports again.');
  if ((await balances()).some((total, i) => total !== after[i]))
    problems.push('Closing the month again booked again.');
  if (reports.some(({ consumer }) => !paying.some(({ id }) => id === consumer)))
    problems.push('Somebody with whom nothing was agreed has a report.');

  const credits = paying.map(({ id, tier }, i) => {
    const report = reports.find(({ consumer }) => consumer === id);
    const byHand = creditByHand(
      receipts.filter(({ consumerId }) => consumerId === id),
      minutesOfMonth,
    );
    const booked: Sum = {
      minutes: report?.unavailable_minutes ?? 0,
      fee: parseUsd(report?.fee_usd ?? '0'),
      credit: (after[i] ?? 0n) - (before[i] ?? 0n),
    };
    if (!report) problems.push(`${tier} has no report.`);
    if (booked.fee !== byHand.fee)
      problems.push(
        `${tier} paid ${formatUsd(byHand.fee)} by hand, and ${formatUsd(booked.fee)} is reported.`,
      );
    if (booked.credit !== byHand.credit || parseUsd(report?.credit_usd ?? '0') !== byHand.credit)
      problems.push(
        `${tier} is due ${formatUsd(byHand.credit)} by hand, and ${formatUsd(booked.credit)} was booked.`,
      );
    return { tier, byHand, booked };
  });
  return { credits, problems };
}
