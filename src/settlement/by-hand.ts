import type { Pico } from '#domain/money.ts';
import { parseDay } from '#domain/window.ts';
import { Fault } from '#kit/fault.ts';
import type { Plan, Progress, Settler } from './day.ts';

/**
 * Settling by an operator's hand, beside the rounds of the night: through a day that may be today, and down to a smaller amount
 * than the market pays by itself. It is the same journey (`day.ts`): two at once make one batch, and what is begun here is
 * carried on by the rounds.
 */
export interface SettlingByHand {
  /** A settler of dollars that pays from `minimum` on; of rewards, as ever. Undefined where this process pays nobody. */
  settler(asset: 'USD' | 'SWAN', minimum: Pico): Settler | undefined;
  /** What the market pays by itself from. */
  readonly minimum: Pico;
}

interface Wish {
  readonly asset: 'USD' | 'SWAN';
  /** Such as 2026-11-26. */
  readonly until: string;
  /** Undefined: what the market pays by itself from. */
  readonly minimum: Pico | undefined;
}

/** What a settlement would pay. Changes nothing. Throws as `settleNow` does. */
export async function planNow(desk: SettlingByHand, wish: Wish): Promise<Plan & { decimals: number }> {
  return await told(async () => {
    const { settler, day } = theSettler(desk, wish);
    return { ...(await settler.plan(day)), decimals: settler.decimals };
  });
}

/**
 * Makes a batch and carries it on as far as it goes now. Undefined when nothing is due. Throws `thing-unknown` where nothing is
 * paid out, `request-invalid` for a wish that is none, and `conflict` while an earlier batch is under way or payouts are held.
 */
export async function settleNow(desk: SettlingByHand, wish: Wish): Promise<Progress | undefined> {
  return await told(async () => {
    const { settler, day } = theSettler(desk, wish);
    return await settler.settle(day);
  });
}

function theSettler(
  desk: SettlingByHand,
  { asset, until, minimum }: Wish,
): { settler: Settler; day: number } {
  const day = parseDay(until);
  if (day === undefined)
    throw new Fault('request-invalid', { outer: 'until: is no day such as 2026-11-26.', param: 'until' });
  if (minimum !== undefined && minimum > desk.minimum) {
    throw new Fault('request-invalid', {
      outer: 'minimum_usd: is more than the market pays by itself from.',
      param: 'minimum_usd',
    });
  }
  const settler = desk.settler(asset, minimum ?? desk.minimum);
  if (!settler) throw new Fault('thing-unknown', { outer: 'This process pays out no such thing.' });
  return { settler, day };
}

/** What keeps a settlement from beginning is told to whoever began it. */
async function told<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Fault && error.code === 'settlement-busy')
      throw new Fault('conflict', { outer: error.message, cause: error });
    if (error instanceof Fault && error.code === 'settlement-stopped')
      throw new Fault('conflict', { outer: STOPPED, cause: error });
    throw error;
  }
}

const STOPPED = 'Payouts are stopped: the audits say why, or the log of the market.';
