import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, databaseGone, type Sql } from '#db/database.ts';
import { systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness, systemRandomness } from '#kit/random.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Book } from './book.ts';
import { hearRecalls, Leases } from './leases.ts';

let fresh: FreshDatabase;
let book: Book;
beforeAll(async () => {
  fresh = await freshDatabase();
  book = new Book({ database: fresh.database, instance: 'x', clock: systemClock, log: silentLog });
});
afterAll(async () => {
  await fresh.drop();
});

/** A connection that can die before a statement arrives, or after it was carried out and before its answer arrives. */
function losing(database: Database): { database: Database; lose: 'question' | 'answer' | undefined } {
  const line: { database: Database; lose: 'question' | 'answer' | undefined } = { database, lose: undefined };
  const sql = (async (...statement: Parameters<Sql>) => {
    const { lose } = line;
    if (lose !== 'question') {
      const answer = await (database.sql as unknown as (...args: unknown[]) => Promise<unknown>)(
        ...statement,
      );
      if (lose === undefined) return answer;
    }
    throw new Fault('database-unreachable');
  }) as unknown as Sql;
  line.database = { ...database, sql };
  return line;
}

test('whatever answers are lost, a process never leases less than it believes, and in the end exactly that', async () => {
  const random = seededRandomness(7);
  for (let round = 0; round < 8; round++) {
    const consumer = `con_lost_${round}`;
    await book.grant(consumer, 10_000n, consumer);
    const line = losing(fresh.database);
    const leases = new Leases({
      database: line.database,
      instance: 'lost',
      makeId: idMaker(systemClock, systemRandomness),
    });
    let believed = 0n;
    const failures: unknown[] = [];
    for (let step = 0; step < 25; step++) {
      const chance = random.float();
      line.lose = chance < 0.2 ? 'question' : chance < 0.45 ? 'answer' : undefined;
      const amount = BigInt(1 + Math.floor(random.float() * 300));
      if (random.float() < 0.55) {
        const reply = await leases.grow(consumer, { atLeast: 1n, want: amount }).catch(() => undefined);
        if (reply && 'granted' in reply) believed += reply.granted;
      } else if (amount <= believed) {
        // What may have been given back counts as given back.
        believed -= amount;
        await leases.giveBack(consumer, amount).catch((error: unknown) => failures.push(error));
      }
      expect((await book.balance(consumer)).held).toBeGreaterThanOrEqual(believed);
    }
    expect(failures.every(databaseGone)).toBe(true);
    line.lose = undefined;
    const reply = await leases.grow(consumer, { atLeast: 1n, want: 1n });
    if ('granted' in reply) believed += reply.granted;
    expect((await book.balance(consumer)).held).toBe(believed);
  }
});

test('a recall is heard by the others and not by whoever called', async () => {
  const makeId = idMaker(systemClock, systemRandomness);
  const heard: string[] = [];
  let arrived = (): void => {};
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const own = await hearRecalls({ database: fresh.database, instance: 'me' }, (consumer) =>
    heard.push(`me ${consumer}`),
  );
  const other = await hearRecalls({ database: fresh.another(), instance: 'you' }, (consumer) => {
    heard.push(`you ${consumer}`);
    arrived();
  });
  await new Leases({ database: fresh.database, instance: 'me', makeId }).recall('con_"quoted"');
  await arrival;
  expect(heard).toEqual(['you con_"quoted"']);
  await own.stop();
  await other.stop();
});
