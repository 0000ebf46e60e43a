import { describe, expect, test } from 'vitest';
import { VirtualClock } from '#support/virtual-clock.ts';
import { atMost, systemClock } from './clock.ts';

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the end of a turn', () => {
  test('comes for all that wait for it, in the order in which they asked, and never within the call', async () => {
    const ran: number[] = [];
    for (let i = 0; i < 5; i++) systemClock.endOfTurn(() => ran.push(i));
    expect(ran).toEqual([]);
    await endOfTurn();
    expect(ran).toEqual([0, 1, 2, 3, 4]);
  });

  test('is the next one for whoever asks at the end of a turn', async () => {
    const ran: string[] = [];
    systemClock.endOfTurn(() => {
      ran.push('first');
      systemClock.endOfTurn(() => ran.push('asked by the first'));
    });
    systemClock.endOfTurn(() => ran.push('second'));
    await endOfTurn();
    expect(ran).toEqual(['first', 'second']);
    await endOfTurn();
    expect(ran).toEqual(['first', 'second', 'asked by the first']);
  });

  test('comes for the others too when one of them fails, and the failure is the process’s', async () => {
    const ran: string[] = [];
    const failures: unknown[] = [];
    // The test runner listens too, and would take the failure for one of this test.
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => failures.push(error));
    try {
      systemClock.endOfTurn(() => {
        systemClock.endOfTurn(() => ran.push('asked before the failure'));
        throw new Error('failed at the end of a turn');
      });
      systemClock.endOfTurn(() => ran.push('second'));
      systemClock.endOfTurn(() => ran.push('third'));
      await endOfTurn();
      await endOfTurn();
      await endOfTurn();
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    expect(failures).toEqual([new Error('failed at the end of a turn')]);
    expect(ran).toEqual(['second', 'third', 'asked before the failure']);
  });
});

describe('a wait that is bounded', () => {
  test('bug: leaves no timer behind that keeps the process alive', async () => {
    const clock = new VirtualClock();
    await atMost(clock, 2_000, Promise.resolve());
    expect(clock.nextAt()).toBeUndefined();
  });

  test('ends when it has taken too long, and fails when its work fails in time', async () => {
    const clock = new VirtualClock();
    const waited = atMost(clock, 2_000, new Promise(() => {}));
    await clock.advance(2_000);
    await waited;
    await expect(atMost(clock, 2_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(clock.nextAt()).toBeUndefined();
  });
});
