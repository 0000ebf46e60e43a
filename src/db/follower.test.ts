import { expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import type { Database } from './database.ts';
import { type Change, type Follower, follow } from './follower.ts';

/** A follower over a database of which only the announcements exist, and loads that end when the test says so. */
async function following(): Promise<{
  clock: VirtualClock;
  follower: Follower;
  loads: string[];
  announce: (id: string) => void;
  reconnect: () => void;
  /** Ends the load under way. */
  end: (error?: Error) => Promise<void>;
}> {
  const clock = new VirtualClock();
  const loads: string[] = [];
  let heard: (id: string) => void = () => {};
  let listening: () => void = () => {};
  let finish: (error?: Error) => void = () => {};
  const database = {
    listen: (_channel: string, hear: (id: string) => void, again: () => void) => {
      heard = hear;
      listening = again;
      listening();
      return Promise.resolve({ stop: () => Promise.resolve() });
    },
  } as unknown as Database;
  const opening = follow(database, {
    channel: 'things_changed',
    clock,
    log: silentLog,
    load: (change: Change) => {
      loads.push(typeof change === 'string' ? change : [...change].join());
      return new Promise<void>((resolve, reject) => {
        finish = (error) => (error ? reject(error) : resolve());
      });
    },
  });
  const end = async (error?: Error): Promise<void> => {
    finish(error);
    await settlePromises();
  };
  await settlePromises();
  await end();
  return {
    clock,
    follower: await opening,
    loads,
    announce: (id) => heard(id),
    reconnect: () => listening(),
    end,
  };
}

test('everything is loaded once at the start, though listening began before', async () => {
  const { loads } = await following();
  expect(loads).toEqual(['all']);
});

test('what is announced during a load is loaded after it, never beside it', async () => {
  const { loads, reconnect, announce, end } = await following();
  reconnect();
  announce('a');
  announce('b');
  expect(loads).toEqual(['all', 'all']);
  await end();
  expect(loads).toEqual(['all', 'all', 'a,b']);
  await end();
  announce('c');
  expect(loads.at(-1)).toBe('c');
});

test('a new connection means that announcements were missed: everything is looked at again', async () => {
  const { loads, reconnect, announce, end } = await following();
  announce('a');
  reconnect();
  await end();
  expect(loads).toEqual(['all', 'a', 'all']);
});

test('each half minute what changed lately is looked at unasked', async () => {
  const { clock, loads, end } = await following();
  await clock.advance(29_999);
  expect(loads).toEqual(['all']);
  await clock.advance(1);
  expect(loads).toEqual(['all', 'recent']);
  await end();
  await clock.advance(30_000);
  expect(loads).toEqual(['all', 'recent', 'recent']);
});

test('a load that failed is tried again after a second, with what was announced meanwhile', async () => {
  const { clock, loads, announce, end } = await following();
  announce('a');
  announce('b');
  await end(new Error('away'));
  expect(loads).toEqual(['all', 'a']);
  await clock.advance(1_000);
  expect(loads).toEqual(['all', 'a', 'a,b']);
  await end();
  await clock.advance(5_000);
  expect(loads).toHaveLength(3);
});

test('a flood of announcements becomes one look at everything', async () => {
  const { loads, announce, end } = await following();
  for (let i = 0; i < 10_000; i++) announce(`id ${i}`);
  await end();
  expect(loads).toEqual(['all', 'id 0', 'all']);
});

test('once closed, nothing is loaded any more', async () => {
  const { clock, follower, loads, announce, end } = await following();
  announce('a');
  announce('b');
  const closing = follower.close();
  await end();
  await closing;
  announce('c');
  await clock.advance(60_000);
  expect(loads).toEqual(['all', 'a']);
});
