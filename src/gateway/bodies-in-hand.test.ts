import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { BodiesInHand } from './bodies-in-hand.ts';

test('large bodies fit up to the bound, and their room is free again when their answers close', () => {
  const inHand = new BodiesInHand(1_000_000);
  const [one, two] = [new EventEmitter(), new EventEmitter()];
  const first = inHand.next(one);
  const second = inHand.next(two);
  expect([first(100_000), first(600_000), second(300_000)]).toEqual([true, true, true]);
  expect(inHand.bytes).toBe(900_000);
  expect(second(500_000)).toBe(false);
  one.emit('close');
  expect(inHand.bytes).toBe(300_000);
  expect(second(500_000)).toBe(true);
  two.emit('close');
  expect(inHand.bytes).toBe(0);
});

test('small bodies take no room, and listen to nothing', () => {
  const inHand = new BodiesInHand(1);
  const answer = new EventEmitter();
  expect(inHand.next(answer)(65_536)).toBe(true);
  expect([inHand.bytes, answer.listenerCount('close')]).toEqual([0, 0]);
});
