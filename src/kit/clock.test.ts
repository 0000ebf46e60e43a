import { expect, test } from 'vitest';
import { VirtualClock } from '#support/virtual-clock.ts';
import { atMost } from './clock.ts';

test('bug: what was in time leaves no timer behind to keep the process alive', async () => {
  const clock = new VirtualClock();
  await atMost(clock, 2_000, Promise.resolve());
  expect(clock.nextAt()).toBeUndefined();
});

test('what takes too long is waited for no longer, and what fails in time fails', async () => {
  const clock = new VirtualClock();
  const waited = atMost(clock, 2_000, new Promise(() => {}));
  await clock.advance(2_000);
  await waited;
  await expect(atMost(clock, 2_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(clock.nextAt()).toBeUndefined();
});
