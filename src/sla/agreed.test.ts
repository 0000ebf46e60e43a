import { describe, expect, test } from 'vitest';
import { type PlanHistory, tierOverTime } from './agreed.ts';

const MINUTE = 60_000;
/** A span of 100 minutes, 1000 minutes after 1970. */
const span = { fromMs: 1_000 * MINUTE, untilMs: 1_100 * MINUTE };
const over = (about: Partial<PlanHistory>) =>
  tierOverTime({ ...span, plan: 'pay-as-you-go', changes: [], paid: [], ...about });

describe('the tier over time', () => {
  test('without changes is that of the plan, all along', () => {
    expect(over({})).toEqual({ tier: 'pro', notAgreed: [], any: true });
    expect(over({ plan: 'free' })).toEqual({
      tier: 'hobby',
      notAgreed: [{ from: 1_000, until: 1_100 }],
      any: false,
    });
  });

  test('before the first change is what that change says was before', () => {
    const changes = [{ atMs: 2_000 * MINUTE, before: 'business', after: 'free' }];
    expect(over({ plan: 'free', changes })).toEqual({ tier: 'business', notAgreed: [], any: true });
  });

  test('changes with the first minute that begins after a change', () => {
    const changes = [
      { atMs: 1_010 * MINUTE, before: 'free', after: 'pro' },
      { atMs: 1_050 * MINUTE + 1, before: 'pro', after: 'free' },
    ];
    expect(over({ plan: 'free', changes })).toEqual({
      tier: 'pro',
      notAgreed: [
        { from: 1_000, until: 1_010 },
        { from: 1_051, until: 1_100 },
      ],
      any: true,
    });
  });

  test('is that of a plan which was paid for, where the plan itself promises nothing', () => {
    const paid = [{ plan: 'pro', fromMs: 900 * MINUTE, untilMs: 1_040 * MINUTE }];
    expect(over({ plan: 'free', paid })).toEqual({
      tier: 'pro',
      notAgreed: [{ from: 1_040, until: 1_100 }],
      any: true,
    });
  });

  test('gives its terms to the month by the most minutes, and of two with as many by the later', () => {
    const at = (minute: number) => [{ atMs: minute * MINUTE, before: 'pro', after: 'business' }];
    expect(over({ plan: 'business', changes: at(1_051) }).tier).toBe('pro');
    expect(over({ plan: 'business', changes: at(1_050) }).tier).toBe('business');
  });
});
