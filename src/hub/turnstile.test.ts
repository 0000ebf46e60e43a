import { describe, expect, test } from 'vitest';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Turnstile } from './turnstile.ts';

function open(stepsPerTurn: number) {
  const clock = new VirtualClock();
  const turnstile = new Turnstile(clock, stepsPerTurn);
  const passed: string[] = [];
  const pass = (network: string, name = network): void => {
    turnstile.pass(network, () => void passed.push(name));
  };
  return { clock, turnstile, passed, pass };
}

describe('the turnstile', () => {
  test('holds nobody up while there is room', () => {
    const { passed, pass, turnstile } = open(2);
    pass('a');
    pass('b');
    expect(passed).toEqual(['a', 'b']);
    expect(turnstile.waiting).toBe(0);
  });

  test('takes so many steps in a turn, and the rest in the turns after it', () => {
    const { clock, passed, pass, turnstile } = open(2);
    for (const name of ['a', 'b', 'c', 'd', 'e']) pass(name);
    expect(passed).toEqual(['a', 'b']);
    clock.step();
    expect(passed).toEqual(['a', 'b', 'c', 'd']);
    // Who comes now comes behind who waits.
    pass('f');
    clock.step();
    expect(passed).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(turnstile.waiting).toBe(0);
  });

  test('lets networks take turns, so that one with many does not hold up another', () => {
    const { clock, passed, pass } = open(1);
    pass('first');
    for (let i = 0; i < 100; i++) pass('crowd', `crowd ${i}`);
    pass('one');
    clock.step();
    clock.step();
    expect(passed).toEqual(['first', 'crowd 0', 'one']);
    while (clock.step());
    // And of one network, whoever came first.
    expect(passed.slice(3)).toEqual(Array.from({ length: 99 }, (_, i) => `crowd ${i + 1}`));
  });

  test('goes on behind a step that throws', () => {
    const { clock, passed, pass, turnstile } = open(1);
    pass('a');
    turnstile.pass('b', () => {
      throw new Error('a bug');
    });
    pass('c');
    expect(() => clock.step()).toThrow('a bug');
    clock.step();
    expect(passed).toEqual(['a', 'c']);
  });

  test('asks for no more turns when nobody waits', () => {
    const { clock, pass } = open(1);
    pass('a');
    pass('b');
    while (clock.step());
    expect(clock.nextAt()).toBeUndefined();
  });
});
