import { expect, test } from 'vitest';
import { callerOf, Throttle } from './throttle.ts';

test('so many tries come at once, then one in each stretch of time', () => {
  const throttle = new Throttle({ burst: 3, everyMs: 1_000 });
  for (let i = 0; i < 3; i++) {
    expect(throttle.waitS('a', 0)).toBe(0);
    throttle.note('a', 0);
  }
  expect(throttle.waitS('a', 0)).toBe(1);
  expect(throttle.waitS('b', 0)).toBe(0);
  expect(throttle.waitS('a', 1_000)).toBe(0);
});

test('a try that is taken back never was', () => {
  const throttle = new Throttle({ burst: 1, everyMs: 60_000 });
  throttle.note('a', 0);
  expect(throttle.waitS('a', 0)).toBe(60);
  throttle.forgive('a');
  expect(throttle.waitS('a', 0)).toBe(0);
});

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
  ['2001:0db8:0001::9', '2001:db8:1:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', ''],
])('%s is one caller with all of %s', (address, caller) => {
  expect(callerOf(address)).toBe(caller);
});
