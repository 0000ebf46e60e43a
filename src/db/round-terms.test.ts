import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { RoundTerms } from './round-terms.ts';

// Real PostgreSQL; each holder has a clock of its own, so that one can stand still while the other goes on.

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await fresh.database.sql`create table written (by text, term bigint)`;
});
afterAll(() => fresh.drop());

function holder(name: string, termMs = 60_000) {
  const clock = new VirtualClock();
  const database = fresh.another();
  return { clock, database, terms: new RoundTerms({ database, holder: name, clock, termMs }) };
}

/** The term of a kind runs out, as it does when its holder stands still. */
async function runsOut(name: string): Promise<void> {
  await fresh.database.sql`update round_terms set until = now() - interval '1 second' where name = ${name}`;
}

async function writtenBy(): Promise<string[]> {
  return (await fresh.database.sql<{ by: string }[]>`select by from written order by by`).map(({ by }) => by);
}

test('one of many makes a round, and goes on making it', async () => {
  const all = ['a', 'b', 'c'].map((name) => holder(name));
  const made: number[] = [];
  const rounds = async () =>
    await Promise.all(all.map(({ terms }, i) => terms.take('one', async () => void made.push(i))));
  const first = await rounds();
  expect(first.filter(Boolean)).toHaveLength(1);
  expect(await rounds()).toEqual(first);
  expect(new Set(made).size).toBe(1);
});

test('a holder that leaves makes room at once, one that died when its term is over', async () => {
  const [a, b] = [holder('a'), holder('b')];
  expect(await a.terms.take('leave', async () => {})).toBe(true);
  expect(await b.terms.take('leave', async () => {})).toBe(false);
  await a.terms.close();
  expect(await b.terms.take('leave', async () => {})).toBe(true);
  expect(await a.terms.take('leave', async () => {})).toBe(false);
  await runsOut('leave');
  expect(await a.terms.take('leave', async () => {})).toBe(true);
});

test('a holder that stood still in its work writes nothing once another has taken over', async () => {
  const [a, b] = [holder('a'), holder('b')];
  const paused = a.terms.take('paused', async () => {
    await runsOut('paused');
    expect(
      await b.terms.take('paused', async () => {
        await b.database.transaction(async (sql) => void (await sql`insert into written values ('b', 2)`));
      }),
    ).toBe(true);
    // It has not noticed: by its own clock no time has passed.
    await a.database.transaction(async (sql) => void (await sql`insert into written values ('a', 1)`));
  });
  await expect(paused).rejects.toMatchObject({ code: 'term-over' });
  expect(await writtenBy()).toEqual(['b']);
});

test('a holder whose own clock says that its term is over sends nothing, not even one statement', async () => {
  const a = holder('a', 1_000);
  const work = a.terms.take('clock', async () => {
    // As the monotonic clock does while a process is stopped; its timers had no chance.
    await a.database.sql`select 1`;
    await runsOut('clock');
    await fresh.database.sql`update round_terms set holder = 'b', term = 2 where name = 'clock'`;
    await a.clock.advance(1_500);
    await a.database.sql`insert into written values ('late', 1)`;
  });
  await expect(work).rejects.toMatchObject({ code: 'term-over' });
  expect(await writtenBy()).not.toContain('late');
});

test('nobody takes over in the middle of a transaction, and renewing waits for none', async () => {
  const [a, b] = [holder('a'), holder('b')];
  const order: string[] = [];
  let taken: Promise<boolean> | undefined;
  await a.terms.take('middle', async () => {
    await a.database.transaction(async (sql) => {
      // A renewal goes through at once; the next term has to wait.
      expect(await a.terms.take('middle', async () => {})).toBe(true);
      await runsOut('middle');
      taken = b.terms.take('middle', async () => void order.push('b'));
      await sql`insert into written values ('middle', 1)`;
      order.push('a');
    });
  });
  expect(await taken).toBe(true);
  expect(order).toEqual(['a', 'b']);
});
