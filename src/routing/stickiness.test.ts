import { expect, test } from 'vitest';
import { Stickiness } from './stickiness.ts';

test('a conversation finds its node until it was idle for too long', () => {
  const sticky = new Stickiness({ idleMs: 1_000, sizeMax: 10 });
  sticky.note('c', 'node', 0);
  expect(sticky.nodeOf('c', 999)).toBe('node');
  sticky.note('c', 'node', 999);
  expect(sticky.nodeOf('c', 1_998)).toBe('node');
  expect(sticky.nodeOf('c', 1_999)).toBeUndefined();
  expect(sticky.size).toBe(0);
});

test('the table is bounded: who was used longest ago is forgotten first', () => {
  const sticky = new Stickiness({ idleMs: 1_000, sizeMax: 2 });
  sticky.note('a', 'n', 0);
  sticky.note('b', 'n', 1);
  sticky.note('a', 'n', 2);
  sticky.note('c', 'n', 3);
  expect(['a', 'b', 'c'].map((name) => sticky.nodeOf(name, 3))).toEqual(['n', undefined, 'n']);
});

test('what is long idle goes when something new comes, also below the bound', () => {
  const sticky = new Stickiness({ idleMs: 1_000, sizeMax: 100 });
  for (let i = 0; i < 50; i++) sticky.note(`${i}`, 'n', i);
  sticky.note('late', 'n', 5_000);
  expect(sticky.size).toBe(1);
});
