import { expect, test } from 'vitest';
import { householdOf } from './household.ts';

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8:a:b:c:d:e:f', '2001:db8:a:b::/64'],
  ['2001:DB8:0:0001::9', '2001:db8:0:1::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', ''],
])('%j counts as %j', (address, household) => {
  expect(householdOf(address)).toBe(household);
});
