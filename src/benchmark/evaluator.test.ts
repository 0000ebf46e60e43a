import { EventEmitter } from 'node:events';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { DEADLINE_MS, Evaluator } from './evaluator.ts';

const evaluator = new Evaluator({ clock: systemClock });
afterAll(() => evaluator.close());

const run = (source: string, calls: unknown[][] = [[1, 2]]) => evaluator.run({ source, name: 'f', calls });

describe('code of strangers', () => {
  it('does what it says, call by call', async () => {
    expect(
      await run('function f(a, b) { return a + b }', [
        [1, 2],
        [3, 4],
      ]),
    ).toEqual(['3', '7']);
    expect(await run('const f = (a) => [a, { b: a }]', [[1]])).toEqual(['[1,{"b":1}]']);
  });

  it.each([
    ['a file', 'function f() { return require("fs").readFileSync("/etc/passwd", "utf8") }'],
    ['a process', 'function f() { return process.env }'],
    ['the network', 'function f() { return fetch("http://127.0.0.1/") }'],
    ['a module', 'import fs from "fs"; function f() { return 1 }'],
    ['a timer', 'function f() { setTimeout(() => {}, 1); return 1 }'],
  ])('reaches no %s', async (_what, source) => {
    const outcome = await run(source);
    expect(outcome === undefined || outcome[0] === null).toBe(true);
  });

  it.each([
    ['never ends', 'function f() { for (;;) {} }'],
    ['never ends while it is read', 'for (;;) {}'],
    ['calls itself for ever', 'function f() { return f() }'],
    ['takes all memory', 'function f() { const a = []; for (;;) a.push("x" + a.length) }'],
    ['makes one giant text', 'function f() { return "x".repeat(1e9) }'],
    ['backtracks for ever', 'function f() { return /(a+)+$/.test("a".repeat(40) + "b") }'],
    ['throws', 'function f() { throw new Error("no") }'],
    ['is no code', 'Sure! Here is your function.'],
    ['is empty', ''],
    ['is something else of that name', 'const f = 5'],
  ])('that %s is stopped, and the next answer is served', async (_what, source) => {
    const outcome = await run(source);
    expect(outcome === undefined || outcome[0] === null).toBe(true);
    expect(await run('function f(a) { return a }', [[7]])).toEqual(['7']);
  });

  it('cannot leave anything behind for the next answer', async () => {
    await run(
      'Array.prototype.map = () => "mine"; JSON.stringify = () => "42"; globalThis.f = 1; function f() {}',
    );
    expect(await run('function f() { return [1].map((x) => x + 1) }', [[]])).toEqual(['[2]']);
  });

  it('cannot say what its result is by replacing how results are written', async () => {
    expect(await run('JSON.stringify = () => "42"; function f() { return 1 }', [[]])).toEqual(['1']);
  });
});

it('a thread that hangs or dies costs its one answer', async () => {
  class Thread extends EventEmitter {
    terminated = false;
    readonly act: (thread: Thread) => void;
    constructor(act: (thread: Thread) => void) {
      super();
      this.act = act;
    }
    postMessage() {
      this.act(this);
    }
    async terminate() {
      this.terminated = true;
      return 1;
    }
  }
  const threads = [
    new Thread(() => {}),
    new Thread((thread) => thread.emit('exit', 1)),
    new Thread((thread) => thread.emit('message', ['1'])),
  ];
  const [hanging] = threads;
  const clock = new VirtualClock();
  const those = new Evaluator({ clock, start: () => threads.shift() as Thread });
  const work = { source: '', name: 'f', calls: [] };
  const outcomes = [those.run(work), those.run(work), those.run(work)];
  await clock.advance(DEADLINE_MS);
  expect(await Promise.all(outcomes)).toEqual([undefined, undefined, ['1']]);
  expect(hanging?.terminated).toBe(true);
});
