import { describe, expect, test } from 'vitest';
import { Fault } from '#kit/fault.ts';
import { planNow, type SettlingByHand, settleNow } from './by-hand.ts';
import type { Settler } from './day.ts';

const MARKET_MINIMUM = 50n;

/** A desk whose settler does `answer`, and what was asked of it. */
function deskThat(answer: () => unknown) {
  const asked: unknown[] = [];
  const settler = {
    decimals: 6,
    plan: async (day: number) => {
      asked.push(['plan', day]);
      return answer();
    },
    settle: async (day: number) => {
      asked.push(['settle', day]);
      return answer();
    },
  } as unknown as Settler;
  const desk: SettlingByHand = {
    minimum: MARKET_MINIMUM,
    settler: (asset, minimum) => {
      asked.push([asset, minimum]);
      return settler;
    },
  };
  return { desk, asked };
}

const wish = { asset: 'USD', until: '2026-11-26', minimum: undefined } as const;
const DAY = Date.UTC(2026, 10, 26) / 86_400_000;

describe('settling by hand', () => {
  test('pays from what the market pays from by itself, or from less; through the day that is named', async () => {
    const { desk, asked } = deskThat(() => undefined);
    await settleNow(desk, wish);
    await settleNow(desk, { ...wish, minimum: 0n });
    expect(asked).toEqual([
      ['USD', MARKET_MINIMUM],
      ['settle', DAY],
      ['USD', 0n],
      ['settle', DAY],
    ]);
  });

  test('asks nobody for what it refuses: more than the market pays from, and what is no day', async () => {
    const { desk, asked } = deskThat(() => undefined);
    for (const wrong of [
      { ...wish, minimum: MARKET_MINIMUM + 1n },
      { ...wish, until: '2026-02-30' },
      { ...wish, until: 'tomorrow' },
    ])
      for (const call of [planNow, settleNow])
        await expect(call(desk, wrong)).rejects.toMatchObject({ code: 'request-invalid' });
    expect(asked).toEqual([]);
  });

  test('tells whoever began it that another batch is under way, and that payouts are held without what holds them', async () => {
    const busy = deskThat(() => {
      throw new Fault('settlement-busy', { inner: 'Batch 7 is still under way (locked).' });
    });
    await expect(settleNow(busy.desk, wish)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('Batch 7 is still under way'),
    });
    const held = deskThat(() => {
      throw new Fault('settlement-stopped', { inner: 'sk-secret' });
    });
    const refused = await settleNow(held.desk, wish).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'conflict' });
    expect((refused as Error).message).not.toContain('sk-secret');
  });

  test('pays nothing where this process pays nobody, and hides no fault', async () => {
    const nobody: SettlingByHand = { minimum: MARKET_MINIMUM, settler: () => undefined };
    await expect(settleNow(nobody, wish)).rejects.toMatchObject({ code: 'thing-unknown' });
    const broken = deskThat(() => {
      throw new Fault('chain-unreachable', { inner: 'no answer' });
    });
    await expect(planNow(broken.desk, wish)).rejects.toMatchObject({ code: 'chain-unreachable' });
  });
});
