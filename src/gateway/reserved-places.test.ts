import { describe, expect, test } from 'vitest';
import type { Reservation } from '#domain/reservation.ts';
import { candidate } from '#support/candidate.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { ReservedPlaces } from './reserved-places.ts';

function places(...standing: Partial<Reservation>[]) {
  const clock = new VirtualClock();
  const one = candidate('a', { capacity: 10, linkCapacity: 10 });
  const all = standing.map((each, at) => ({
    id: `rsv_${at}`,
    consumerId: 'big',
    modelId: 'm',
    slots: null,
    share: null,
    releaseIdleS: null,
    ...each,
  }));
  const reserved = new ReservedPlaces({
    clock,
    of: (modelId) => (modelId === 'm' && all.length > 0 ? all : undefined),
    candidates: () => [one],
  });
  return { clock, one, reserved };
}

describe('places that are kept', () => {
  test('stay free of others up to the last, and are given to whom they are kept for', () => {
    const { one, reserved } = places({ slots: 3 });
    for (const [inFlight, out] of [
      [0, false],
      [6, false],
      [7, true],
      [9, true],
    ] as const) {
      one.inFlight = inFlight;
      expect([reserved.keepsOut('m', 'small'), reserved.keepsOut('m', 'big')]).toEqual([out, false]);
    }
    expect(reserved.keepsOut('other', 'small')).toBe(false);
  });

  test('are as many as their share of what there is now, rounded up', () => {
    const { one, reserved } = places({ share: 2_500 });
    one.inFlight = 6;
    expect(reserved.keepsOut('m', 'small')).toBe(false);
    one.inFlight = 7;
    expect(reserved.keepsOut('m', 'small')).toBe(true);
    one.capacity = 8;
    one.inFlight = 5;
    expect(reserved.keepsOut('m', 'small')).toBe(false);
    one.draining = true;
    expect(reserved.keepsOut('m', 'small')).toBe(false);
  });

  test('are counted as used by their owner only, each once however often it ends', () => {
    const { one, reserved } = places({ slots: 2 });
    reserved.began('m', 'small');
    expect(reserved.hasRoom('m', 'big')).toBe(true);
    const ends = [reserved.began('m', 'big'), reserved.began('m', 'big')];
    one.inFlight = 3;
    expect([reserved.hasRoom('m', 'big'), reserved.withRoom('m')]).toEqual([false, []]);
    one.inFlight = 9;
    expect(reserved.keepsOut('m', 'small')).toBe(false);
    ends[0]?.();
    ends[0]?.();
    expect(reserved.withRoom('m')).toEqual(['big']);
    one.inFlight = 9;
    expect(reserved.keepsOut('m', 'small')).toBe(true);
    expect(reserved.hasRoom('m', 'small')).toBe(false);
  });

  test('of one owner keep another owner out of them beyond its own', () => {
    const { one, reserved } = places({ slots: 1 }, { slots: 1, consumerId: 'other' });
    one.inFlight = 9;
    expect(reserved.keepsOut('m', 'other')).toBe(false);
    reserved.began('m', 'other');
    expect(reserved.keepsOut('m', 'other')).toBe(true);
  });

  test('are lent out after the time that their terms name, and kept again from the next request on', async () => {
    const { clock, one, reserved } = places({ slots: 4, releaseIdleS: 60 });
    one.inFlight = 8;
    expect(reserved.keepsOut('m', 'small')).toBe(true);
    await clock.advance(60_001);
    expect(reserved.keepsOut('m', 'small')).toBe(false);
    reserved.asked('m', 'big');
    expect(reserved.keepsOut('m', 'small')).toBe(true);
    const end = reserved.began('m', 'big');
    await clock.advance(600_000);
    expect(reserved.keepsOut('m', 'small')).toBe(true);
    end();
    await clock.advance(59_000);
    expect(reserved.keepsOut('m', 'small')).toBe(true);
    await clock.advance(2_000);
    expect(reserved.keepsOut('m', 'small')).toBe(false);
  });
});
