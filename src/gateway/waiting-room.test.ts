import { describe, expect, test } from 'vitest';
import type { TierName } from '#domain/tier.ts';
import { candidate as candidateLike } from '#support/candidate.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type TurnAnswer, WaitingRoom } from './waiting-room.ts';

const candidate = candidateLike('a');
const MODEL = 'm';

/** A model with so many places, of which none is free at first. */
function busyModel(sizeMax = 100) {
  const clock = new VirtualClock();
  const room = new WaitingRoom({ clock, terms: { sizeMax, lookMs: 50 } });
  let free = 0;
  const served: string[] = [];
  const refused: { who: string; retryAfterS: number }[] = [];
  const decided = (who: string, found: TurnAnswer): void => {
    if ('candidate' in found) {
      free -= 1;
      served.push(who);
    } else refused.push({ who, retryAfterS: found.retryAfterS });
  };
  const ask = (who: string, tier: TierName = 'pro'): (() => void) =>
    room.wait({
      modelId: MODEL,
      consumerId: who,
      tier,
      pick: () => (free === 0 ? { none: 'providers-busy' } : { candidate }),
      decided: (answer) => decided(who, answer),
    });
  const end = async (): Promise<void> => {
    free += 1;
    room.freed(MODEL);
    await clock.advance(0);
  };
  return { clock, room, served, refused, ask, end, addPlace: () => (free += 1) };
}

describe('waiting', () => {
  test('an answer that ends lets the next one in', async () => {
    const { served, ask, end, room } = busyModel();
    ask('a');
    ask('b');
    expect(room.isBusy(MODEL)).toBe(true);
    await end();
    expect(served).toEqual(['a']);
    await end();
    expect(served).toEqual(['a', 'b']);
    expect([room.isBusy(MODEL), room.waiting]).toEqual([false, 0]);
  });

  test('a new agent is noticed though no answer ends', async () => {
    const { served, ask, addPlace, clock } = busyModel();
    ask('a');
    addPlace();
    await clock.advance(60);
    expect(served).toEqual(['a']);
  });

  test('one tenant at a hundred times its share leaves the others their turn', async () => {
    const { served, ask, end } = busyModel(1_000);
    for (let i = 0; i < 100; i++) ask('greedy');
    for (const who of ['b', 'c', 'd']) ask(who);
    for (let i = 0; i < 8; i++) await end();
    expect(served.filter((who) => who !== 'greedy').toSorted()).toEqual(['b', 'c', 'd']);
  });

  test('who would wait in vain can be told so before anything is done for it, and whoever would not is told nothing', async () => {
    const { ask, end, room, clock, refused } = busyModel();
    for (let i = 0; i < 40; i++) ask(`c${i % 10}`);
    // Five places a second: more than thirty ahead are six seconds, and Pro waits three.
    for (let i = 0; i < 6; i++) {
      await clock.advance(200);
      await end();
    }
    const about = { modelId: MODEL, consumerId: 'c1', tier: 'pro' } as const;
    const late = room.late(about);
    expect(late).toMatchObject({ none: 'providers-busy' });
    const waiting = room.waiting;
    ask('c1');
    expect(refused.at(-1)).toEqual({ who: 'c1', retryAfterS: late?.retryAfterS });
    expect(room.waiting).toBe(waiting);
    expect(room.late({ ...about, modelId: 'idle' })).toBeUndefined();
  });

  test('paid tiers go before Hobby by their weight', async () => {
    const { served, ask, end } = busyModel();
    for (let i = 0; i < 8; i++) ask(`h${i}`, 'hobby');
    for (let i = 0; i < 8; i++) ask(`p${i}`, 'pro');
    for (let i = 0; i < 9; i++) await end();
    expect(served.filter((who) => who.startsWith('p')).length).toBeGreaterThanOrEqual(7);
  });
});

describe('refusing', () => {
  test('after the deadline of its tier', async () => {
    const { refused, ask, clock } = busyModel();
    ask('pro', 'pro');
    ask('hobby', 'hobby');
    await clock.advance(3_100);
    expect(refused.map(({ who }) => who)).toEqual(['pro']);
    await clock.advance(5_000);
    expect(refused.map(({ who }) => who)).toEqual(['pro', 'hobby']);
  });

  test('at once, where the pace of the model says that the wait would be too long, and for how long', async () => {
    const { refused, ask, end, clock } = busyModel(1_000);
    // Two a second.
    for (let i = 0; i < 10; i++) {
      await clock.advance(500);
      await end();
    }
    for (let i = 0; i < 5; i++) ask('greedy');
    await clock.advance(0);
    const before = refused.length;
    for (let i = 0; i < 20; i++) ask('greedy');
    await clock.advance(0);
    expect(before).toBe(0);
    expect(refused.length).toBeGreaterThanOrEqual(19);
    for (const { retryAfterS } of refused) expect(retryAfterS).toBeGreaterThanOrEqual(1);
  });

  test('the last of whoever asks most, when the queue is full', async () => {
    const { refused, ask, clock } = busyModel(3);
    for (let i = 0; i < 3; i++) ask('greedy');
    ask('modest');
    await clock.advance(0);
    expect(refused.map(({ who }) => who)).toEqual(['greedy']);
  });

  test('everybody, when the process leaves', async () => {
    const { room, refused, ask, clock } = busyModel();
    ask('a');
    ask('b', 'hobby');
    room.close();
    await clock.advance(0);
    expect(refused).toHaveLength(2);
    expect(room.waiting).toBe(0);
  });
});

test('a client that left gives its turn to the next, and its promise is never kept', async () => {
  const { served, refused, ask, end, room } = busyModel();
  const leave = ask('gone');
  ask('here');
  leave();
  leave();
  expect(room.waiting).toBe(1);
  await end();
  expect(served).toEqual(['here']);
  expect(refused).toEqual([]);
});
