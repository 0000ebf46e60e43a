import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database, Sql } from '#db/database.ts';
import { PICO_PER_USD } from '#domain/money.ts';
import { dayName, dayStart, parseDay } from '#domain/window.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { writeEntries } from '#ledger/book.ts';
import { reversalEntry, slaCreditEntry } from '#ledger/funds-entries.ts';
import { auditTokens } from '#ledger/token-audit.ts';
import { tokenStandingOf, writeTokenEntries } from '#ledger/token-book.ts';
import { makeConsumer, makeId, makeProvider, operatorsBook } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { RewardBook } from './book.ts';
import { databaseTime, Rewarder } from './day.ts';
import { notePresence, Presence, uptimePercent } from './presence.ts';
import { setTerms, setTier } from './terms.ts';

// Rewards on a real database. Days are far apart, so that the week of one test does not reach into another's.

const SWAN = 10n ** 18n;
let fresh: FreshDatabase;
let payer: string;

beforeAll(async () => {
  fresh = await freshDatabase();
  payer = (await makeConsumer(fresh.database, 0n)).id;
  await operatorsBook(fresh.database).deposit(payer, 100n * PICO_PER_USD, 'pay_1');
});
afterAll(() => fresh.drop());

const dayOfName = (name: string): number => parseDay(name) as number;

/** A clock that stands an hour into a day. */
function clockOn(day: string): Clock {
  return { ...systemClock, wallMs: () => dayStart(dayOfName(day)) + 3_600_000 };
}

function rewarderOn(day: string, database: Database = fresh.database): Rewarder {
  return new Rewarder({ database, clock: clockOn(day), log: silentLog });
}

/** The market, and these providers, were there for so many minutes of each of the days up to and with `day`. */
async function present(day: string, providers: readonly string[], days = 30, minutes = 1_440): Promise<void> {
  const names = Array.from({ length: days }, (_, i) => dayName(dayOfName(day) - i));
  const { sql } = fresh.database;
  await sql`
    insert into market_minutes (day, minutes)
    select name, repeat('1', 1440)::bit(1440) from unnest(${names}::text[]) as t(name) on conflict do nothing`;
  await sql`
    insert into provider_minutes (day, provider_id, minutes)
    select name, id, rpad(repeat('1', ${minutes}::integer), 1440, '0')::bit(1440)
    from unnest(${names}::text[]) as t(name), unnest(${[...providers]}::text[]) as u(id)
    on conflict (day, provider_id) do update set minutes = excluded.minutes`;
}

interface Served {
  providerId: string;
  day: string;
  count?: number;
  consumerId?: string;
  charge?: bigint;
  outcome?: 'completed' | 'cancelled' | 'broken';
  mode?: 'websocket' | 'external';
  modelId?: string;
  totalMs?: number;
}

/** Requests of ten tokens in and twenty out, as posting leaves them. */
async function served(about: Served): Promise<string> {
  const {
    count = 100,
    consumerId = payer,
    charge = 1_000n,
    outcome = 'completed',
    mode = 'websocket',
  } = about;
  const { modelId = 'some/model', totalMs = 500 } = about;
  const prefix = makeId('req');
  await fresh.database.sql`
    insert into usage (
      id, at, consumer_id, key_id, model_id, provider_id, mode, streamed, outcome, input_tokens, output_tokens, events,
      bytes, attempts, total_ms, price_id, policy, charge
    )
    select ${prefix} || n, ${new Date(dayStart(dayOfName(about.day)) + 1)}, ${consumerId}, 'key', ${modelId},
      ${about.providerId}, ${mode}, true, ${outcome}, 10, 20, 21, 2048, 1, ${totalMs}, 'price', 'standard-1',
      ${outcome === 'broken' ? 0n : charge}
    from generate_series(1, ${count}::integer) as n`;
  return prefix;
}

async function poolFrom(day: string, pool: bigint, phase: 1 | 2 | 3 = 3): Promise<void> {
  const effectiveDay = dayOfName(day);
  const answer = await setTerms(fresh.database, {
    pool,
    phase,
    ubiBps: 10_000,
    effectiveDay,
    setAt: dayStart(effectiveDay),
  });
  expect(answer).toBe('set');
}

/** So that `round` has no days in between to go through. */
async function startAt(day: string): Promise<void> {
  await fresh.database.sql`
    insert into reward_days (
      day, asset, pool, phase, ubi_bps, market_minutes_7d, market_minutes_30d, models, utilisation_ppm, given, reserve,
      vests_on, made_at, vested_at
    ) values (${dayName(dayOfName(day) - 1)}, 'SWAN', 0, 3, 0, 0, 0, 0, 0, 0, 0, '2000-01-01', now(), now())`;
}

const standing = (providerId: string) => tokenStandingOf(fresh.database.sql, 'SWAN', providerId);
const shareOf = async (day: string, providerId: string) =>
  (await new RewardBook(fresh.database).sharesOf(day, 100)).find((share) => share.providerId === providerId);

test('without terms nothing is rewarded and nothing is written', async () => {
  expect(await rewarderOn('2028-01-10').round()).toEqual({ rewarded: [], vested: [] });
  expect(await rewarderOn('2028-01-10').plan(dayOfName('2028-01-09'))).toBeUndefined();
});

test('a day is rewarded once: entries, shares and balances are there, and the books are in order', async () => {
  const [a, b] = [(await makeProvider(fresh.database)).id, (await makeProvider(fresh.database)).id];
  await present('2028-03-10', [a, b]);
  await served({ providerId: a, day: '2028-03-10', count: 300, modelId: 'm/one', totalMs: 200 });
  await served({ providerId: b, day: '2028-03-05', count: 150, modelId: 'm/two', totalMs: 400 });
  await startAt('2028-03-10');
  await poolFrom('2028-03-10', 1_000n * SWAN);
  expect(await rewarderOn('2028-03-11').round()).toEqual({ rewarded: ['2028-03-10'], vested: [] });
  const before = await Promise.all([standing(a), standing(b)]);
  for (const { payable, vesting } of before) expect(vesting).toBe((payable + vesting) / 5n);
  expect(before[0].payable > before[1].payable).toBe(true);
  const book = new RewardBook(fresh.database);
  const [day] = await book.days(1);
  expect(day).toMatchObject({ day: '2028-03-10', vestsOn: '2028-06-10', phase: 3, pool: 1_000n * SWAN });
  expect(before.reduce((sum, each) => sum + each.payable + each.vesting, 0n)).toBe(day?.given);
  expect(await book.recompute(day as never)).toEqual([]);
  expect(await shareOf('2028-03-10', b)).toMatchObject({
    inferences: 150n,
    tokens: 4_500n,
    latencyMs: 400n,
    models: 1n,
  });

  expect(await rewarderOn('2028-03-11').round()).toEqual({ rewarded: [], vested: [] });
  expect(await rewarderOn('2028-03-11').reward(dayOfName('2028-03-10'))).toBe(false);
  expect(await Promise.all([standing(a), standing(b)])).toEqual(before);
  expect(await auditTokens(fresh.database)).toEqual([]);
});

test('a machine whose clock is days ahead of the database’s rewards and frees nothing early', async () => {
  const before = await new RewardBook(fresh.database).days(1);
  const ahead = new Rewarder({
    database: fresh.database,
    clock: clockOn('2028-12-24'),
    secondClock: () => Promise.resolve(dayStart(dayOfName('2028-03-11')) + 1),
    log: silentLog,
  });
  expect(await ahead.round()).toEqual({ rewarded: [], vested: [] });
  expect(await ahead.reward(dayOfName('2028-03-11'))).toBe(false);
  expect(await new RewardBook(fresh.database).days(1)).toEqual(before);
  const now = await databaseTime(fresh.database);
  expect(Math.abs(now - systemClock.wallMs())).toBeLessThan(86_400_000);
});

test('a day that is not over is not rewarded', async () => {
  expect(await rewarderOn('2028-03-11').reward(dayOfName('2028-03-11'))).toBe(false);
  expect(await new RewardBook(fresh.database).day('2028-03-11')).toBeUndefined();
});

describe('what counts as an inference', () => {
  const day = '2028-05-20';

  test('only what an agent completed and somebody else paid for', async () => {
    const honest = await makeProvider(fresh.database);
    const cheat = await makeProvider(fresh.database);
    const { sql } = fresh.database;
    const own = (await makeConsumer(fresh.database, 0n)).id;
    await operatorsBook(fresh.database).deposit(own, 100n * PICO_PER_USD, 'pay_own');
    await sql`
      insert into users (id, email, email_key, display_name, password_hash, consumer_id, provider_id, created_at, password_set_at)
      values ('usr_1', 'a@b.c', 'a@b.c', 'A', '$argon2id$x', ${own}, ${cheat.id}, now(), now())`;
    const guest = (await makeConsumer(fresh.database, 100n * PICO_PER_USD)).id;
    await served({ providerId: cheat.id, day, consumerId: own });
    await served({ providerId: cheat.id, day, consumerId: guest });
    await served({ providerId: cheat.id, day, charge: 0n });
    await served({ providerId: cheat.id, day, mode: 'external' });
    await served({ providerId: cheat.id, day, outcome: 'cancelled', count: 7 });
    await served({ providerId: cheat.id, day, outcome: 'broken', count: 3 });
    const refunded = await served({ providerId: cheat.id, day, count: 1 });
    await sql`
      insert into corrections (id, at, request_id, consumer_id, provider_id, policy, input_tokens, output_tokens, refund, original_charge)
      values (${`fix_${refunded}1`}, now(), ${`${refunded}1`}, ${payer}, ${cheat.id}, 'standard-1', 0, 0, 1000, 1000)`;
    await served({ providerId: cheat.id, day: '2028-05-13', count: 50 });
    await served({ providerId: honest.id, day, count: 40 });
    await served({ providerId: honest.id, day: '2028-05-14', count: 2 });
    await present(day, [honest.id, cheat.id]);
    await startAt(day);
    await poolFrom(day, SWAN);
    await rewarderOn('2028-05-21').round();
    // The guest's and the free ones ended well, so they are in the success rate, and in nothing else.
    expect(await shareOf(day, cheat.id)).toMatchObject({
      inferences: 0n,
      tokens: 0n,
      contribution: 0n,
      succeeded: 208n,
      failed: 3n,
    });
    expect(await shareOf(day, honest.id)).toMatchObject({ inferences: 42n, tokens: 1_260n });
  });

  test('a consumer who was given more than it paid in does not count until it has paid in more', async () => {
    const provider = await makeProvider(fresh.database);
    const mixed = (await makeConsumer(fresh.database, 10n * PICO_PER_USD)).id;
    const book = operatorsBook(fresh.database);
    await present('2028-06-20', [provider.id]);
    await served({ providerId: provider.id, day: '2028-06-20', consumerId: mixed, count: 5 });
    const planned = async () => {
      const plan = await rewarderOn('2028-06-21').plan(dayOfName('2028-06-20'));
      return plan?.facts.works.find(({ providerId }) => providerId === provider.id)?.inferences;
    };
    // Labels of entries are of today, and that is before 2028.
    await book.deposit(mixed, 9n * PICO_PER_USD, 'pay_mixed_1');
    expect(await planned()).toBe(0n);
    await book.deposit(mixed, PICO_PER_USD, 'pay_mixed_2');
    expect(await planned()).toBe(5n);
  });
});

describe('bug: money that the market gave, or that went back, is no payment', () => {
  const day = '2028-06-28';
  let providerId: string;
  let consumerId: string;
  beforeEach(async () => {
    providerId = (await makeProvider(fresh.database)).id;
    consumerId = (await makeConsumer(fresh.database, 0n)).id;
    await present(day, [providerId]);
    await served({ providerId, day, consumerId, count: 5 });
  });
  const counted = async () => {
    const plan = await rewarderOn('2028-06-29').plan(dayOfName(day));
    return plan?.facts.works.find((work) => work.providerId === providerId)?.inferences;
  };

  test('a credit for a missed service level is given, as a grant is', async () => {
    const book = operatorsBook(fresh.database);
    await book.deposit(consumerId, 10n * PICO_PER_USD, makeId('pay'));
    await book.grant(consumerId, 9n * PICO_PER_USD, makeId('grant'));
    expect(await counted()).toBe(5n);
    const about = { consumerId, month: '2028-05', report: 'sla_1', at: 0, fromStakes: 0n };
    await fresh.database.transaction((sql) =>
      writeEntries(sql, [slaCreditEntry({ ...about, amount: PICO_PER_USD })]),
    );
    expect(await counted()).toBe(5n);
    const more = slaCreditEntry({ ...about, month: '2028-06', amount: 1n });
    await fresh.database.transaction((sql) => writeEntries(sql, [more]));
    expect(await counted()).toBe(0n);
  });

  test('a card payment that was spent and then taken back was none, and is one again when it comes back', async () => {
    const id = makeId('pi');
    const amount = 10n * PICO_PER_USD;
    await operatorsBook(fresh.database).deposit(consumerId, amount, `card:${id}`);
    expect(await counted()).toBe(5n);
    await fresh.database.transaction(async (sql) => {
      await sql`
        insert into deposits (id, method, consumer_id, asset, units, value, state, received_at, booked_at)
        values (${`card:${id}`}, 'card', ${consumerId}, 'USD', ${amount}, ${amount}, 'booked', now(), now())`;
      await sql`
        insert into card_reversals (id, deposit_id, consumer_id, amount, taken, at)
        values (${`dispute:${id}`}, ${`card:${id}`}, ${consumerId}, ${amount}, 0, now())`;
      // Nothing was left of it, so the entry takes nothing of the consumer's: all of it is owed.
      await writeEntries(sql, [reversalEntry({ id: `dispute:${id}`, at: 0, amount, consumerId, taken: 0n })]);
    });
    expect(await counted()).toBe(0n);
    await fresh.database.sql`update card_reversals set reinstated = true where id = ${`dispute:${id}`}`;
    expect(await counted()).toBe(5n);
  });
});

test('who is suspended, or came too late, is kept with the reason and gets nothing', async () => {
  const day = '2028-07-20';
  const [out, late] = [(await makeProvider(fresh.database)).id, (await makeProvider(fresh.database)).id];
  await fresh.database.sql`update providers set state = 'suspended' where id = ${out}`;
  await present(day, [out]);
  await present(day, [late], 5);
  await served({ providerId: out, day });
  await served({ providerId: late, day });
  await startAt(day);
  await poolFrom(day, SWAN);
  await rewarderOn('2028-07-21').round();
  expect(await shareOf(day, out)).toMatchObject({ excluded: 'not-active', liquid: 0n, score: 0n });
  expect(await shareOf(day, late)).toMatchObject({ excluded: 'low-uptime', liquid: 0n, score: 0n });
  expect(await new RewardBook(fresh.database).day(day)).toMatchObject({ given: 0n, reserve: SWAN });
  expect(await auditTokens(fresh.database)).toEqual([]);
});

test('what hardware counts for is the operator’s word of the day, and not changed afterwards', async () => {
  const day = '2028-08-20';
  const [a, b] = [(await makeProvider(fresh.database)).id, (await makeProvider(fresh.database)).id];
  await present(day, [a, b]);
  await setTier(fresh.database, { providerId: a, tier: 400, at: dayStart(dayOfName(day)) });
  await setTier(fresh.database, { providerId: b, tier: 250, at: dayStart(dayOfName(day) + 1) });
  await startAt(day);
  await poolFrom(day, 1_000n);
  await rewarderOn('2028-08-21').round();
  expect((await shareOf(day, a))?.bonus).toBe(80n);
  expect((await shareOf(day, b))?.bonus).toBe(20n);
});

describe('vesting', () => {
  test('a locked part is free at midnight of its day, once, and not a moment before', async () => {
    const day = '2028-11-30';
    const id = (await makeProvider(fresh.database)).id;
    await present(day, [id]);
    await served({ providerId: id, day });
    await startAt(day);
    await poolFrom(day, 1_000n);
    await rewarderOn('2028-12-01').round();
    const at = await standing(id);
    expect(at.vesting).toBeGreaterThan(0n);
    const on = (name: string, ms: number) =>
      new Rewarder({
        database: fresh.database,
        clock: { ...systemClock, wallMs: () => dayStart(dayOfName(name)) + ms },
        log: silentLog,
      });
    // What tests before this one rewarded is due long ago.
    await on('2029-02-27', 0).vest();
    expect(await on('2029-02-28', -1).vest()).toEqual([]);
    expect(await standing(id)).toEqual(at);
    const both = await Promise.all([on('2029-02-28', 0).vest(), on('2029-02-28', 0).vest()]);
    expect(both.flat()).toEqual([day]);
    expect(await standing(id)).toEqual({ payable: at.payable + at.vesting, vesting: 0n });
    expect(await on('2029-03-01', 0).vest()).toEqual([]);
    expect(await auditTokens(fresh.database)).toEqual([]);
  });
});

test('five workers that reward three days at once reward each once', async () => {
  const days = ['2029-05-10', '2029-05-11', '2029-05-12'];
  const id = (await makeProvider(fresh.database)).id;
  await present('2029-05-12', [id], 40);
  for (const day of days) await served({ providerId: id, day });
  await startAt('2029-05-10');
  await poolFrom('2029-05-10', 999n);
  const workers = Array.from({ length: 5 }, () => fresh.another({ maxConnections: 2 }));
  const rounds = await Promise.all(workers.map((each) => rewarderOn('2029-05-13', each).round()));
  expect(rounds.flatMap(({ rewarded }) => rewarded).toSorted()).toEqual(days);
  const { payable, vesting } = await standing(id);
  const given = (await new RewardBook(fresh.database).days(3)).reduce((sum, each) => sum + each.given, 0n);
  expect(payable + vesting).toBe(given);
  expect(await auditTokens(fresh.database)).toEqual([]);
});

class Crash extends Error {}

/** The same database, whose process dies at its n-th statement: before it, or when it was carried out. */
function mortal(
  database: Database,
  crash: { at: number; when: 'before' | 'after'; statements: number },
): Database {
  const dying = (sql: Sql): Sql =>
    new Proxy(sql, {
      apply(target, self, args: unknown[]) {
        const made: unknown = Reflect.apply(target as never, self, args);
        const isStatement = Array.isArray(args[0]) && 'raw' in args[0];
        if (!isStatement || ++crash.statements !== crash.at) return made;
        if (crash.when === 'before') throw new Crash();
        return (made as Promise<unknown>).then(() => {
          throw new Crash();
        });
      },
    });
  return {
    ...database,
    sql: dying(database.sql),
    transaction: (work) => database.transaction((sql) => work(dying(sql))),
  };
}

test.each([
  ['before', '2029-08-10', '2029-08-11', '2029-11-10'],
  ['after', '2030-08-10', '2030-08-11', '2030-11-10'],
] as const)(
  'a process that dies %s any statement of a reward or of a vesting leaves nothing half done',
  async (when, day, next, due) => {
    const ids = [(await makeProvider(fresh.database)).id, (await makeProvider(fresh.database)).id];
    await present(day, ids);
    for (const providerId of ids) await served({ providerId, day });
    await startAt(day);
    await poolFrom(day, 1_001n);
    const kept = async () => await new RewardBook(fresh.database).day(day);
    // What other tests rewarded is due by then, and is no part of this.
    await rewarderOn(dayName(dayOfName(due) - 1)).vest();
    const works = [
      {
        run: (database: Database) => rewarderOn(next, database).reward(dayOfName(day)),
        isDone: async () => (await kept()) !== undefined,
      },
      {
        run: async (database: Database) => (await rewarderOn(due, database).vest()).length > 0,
        isDone: async () => (await kept())?.vested === true,
      },
    ];
    for (const { run, isDone } of works) {
      const before = await Promise.all(ids.map(standing));
      let statements = 0;
      let deaths = 0;
      for (let answer: boolean | 'died' = 'died'; answer === 'died'; ) {
        // Nothing is done before the time at which it goes through.
        expect(await isDone()).toBe(false);
        expect(await Promise.all(ids.map(standing))).toEqual(before);
        const crash = { at: ++deaths, when, statements: 0 };
        answer = await run(mortal(fresh.database, crash)).catch((error: unknown) => {
          if (error instanceof Crash) return 'died' as const;
          throw error;
        });
        statements = crash.statements;
      }
      // It died at each of them.
      expect(statements).toBe(deaths - 1);
      expect(statements).toBeGreaterThan(5);
      expect(await isDone()).toBe(true);
      expect(await Promise.all(ids.map(standing))).not.toEqual(before);
      expect(await auditTokens(fresh.database)).toEqual([]);
    }
  },
);

test('terms and days are never rewritten', async () => {
  const { database } = fresh;
  const terms = { pool: 5n, phase: 1 as const, ubiBps: 0, setAt: dayStart(dayOfName('2030-01-01')) };
  expect(await setTerms(database, { ...terms, effectiveDay: dayOfName('2029-12-31') })).toBe('past');
  expect(await setTerms(database, { ...terms, effectiveDay: dayOfName('2030-01-01') })).toBe('set');
  expect(await setTerms(database, { ...terms, pool: 6n, effectiveDay: dayOfName('2030-01-01') })).toBe(
    'taken',
  );
  const { sql } = database;
  for (const change of [
    () => sql`update reward_terms set pool = 0`,
    () => sql`update reward_days set given = 0, reserve = pool`,
    () => sql`update reward_days set vested_at = null`,
    () => sql`update reward_shares set liquid = 0`,
    () => sql`delete from reward_shares`,
    () => sql`update token_entries set kind = 'claim'`,
    () => sql`truncate reward_days cascade`,
    () => sql`update reward_tiers set tier = 400`,
  ]) {
    await expect(change()).rejects.toThrow(/append-only|never changes/);
  }
});

describe('the book of tokens', () => {
  const move = (id: string, amount: bigint) => ({
    id,
    kind: 'allotment' as const,
    at: 0,
    legs: [
      { account: 'platform:cash', amount: -amount },
      { account: 'platform:reserve', amount },
    ],
    memo: {},
  });
  const write = (entries: Parameters<typeof writeTokenEntries>[2]) =>
    fresh.database.transaction((sql) => writeTokenEntries(sql, 'SWAN', entries));

  test('takes an entry once, and refuses it with other terms', async () => {
    await write([move('test:1', 5n)]);
    await write([move('test:1', 5n)]);
    await expect(write([move('test:1', 6n)])).rejects.toThrow('other amounts');
    expect(await auditTokens(fresh.database)).toEqual([]);
  });

  test('pays nobody what was not booked for it', async () => {
    const poor = makeId('prov');
    await expect(
      write([
        {
          id: 'test:2',
          kind: 'payout',
          at: 0,
          legs: [
            { account: `provider:${poor}`, amount: -1n },
            { account: 'platform:claimable', amount: 1n },
          ],
          memo: {},
        },
      ]),
    ).rejects.toThrow('token_account_is_never_overdrawn');
  });

  test('an entry that does not balance is refused by the table too', async () => {
    await expect(
      fresh.database.sql`
        insert into token_entries (id, asset, kind, at, accounts, amounts)
        values ('test:3', 'SWAN', 'claim', now(), array['a', 'b'], array[1, -2])`,
    ).rejects.toThrow('token_entry_balances');
  });

  test('a balance that was changed by hand is told by the audit', async () => {
    await fresh.database.sql`update token_accounts set balance = balance + 1 where id = 'platform:reserve'`;
    expect((await auditTokens(fresh.database)).map(({ what }) => what)).toEqual([
      'All balances of a token together are not zero.',
      'A balance of a token is not the sum of its entries.',
    ]);
    await fresh.database.sql`update token_accounts set balance = balance - 1 where id = 'platform:reserve'`;
  });
});

describe('presence', () => {
  const at = dayStart(dayOfName('2031-01-01'));

  test('a minute counts once, however many processes and nodes note it, and in whichever order', async () => {
    const id = makeId('prov');
    const other = fresh.another({ maxConnections: 1 });
    const minutes = [0, 5, 3, 5, 0, 1_439];
    await Promise.all(
      minutes.map((n, i) => notePresence(i % 2 ? other : fresh.database, at + n * 60_000, [id])),
    );
    await notePresence(fresh.database, at + 7 * 60_000, []);
    const [row] = await fresh.database.sql<{ there: bigint; all: bigint }[]>`
      select bit_count(p.minutes) as there, bit_count(m.minutes) as all
      from provider_minutes p join market_minutes m on m.day = p.day where p.provider_id = ${id}`;
    expect(row).toEqual({ there: 4n, all: 5n });
    expect(await uptimePercent(fresh.database, { providerId: id, at })).toBe(80);
    expect(await uptimePercent(fresh.database, { providerId: 'prov_nobody', at })).toBe(0);
  });

  test('nothing measured is no uptime, not one of zero', async () => {
    const never = dayStart(dayOfName('2035-01-01'));
    expect(await uptimePercent(fresh.database, { providerId: 'prov_nobody', at: never })).toBeUndefined();
  });

  test('whoever comes in the middle of a minute has it, and a look that failed is no minute of the market', async () => {
    let now = dayStart(dayOfName('2031-03-01'));
    let broken = false;
    const here = new Set<string>();
    const database: Database = {
      ...fresh.database,
      transaction: (work) => (broken ? Promise.reject(new Error('away')) : fresh.database.transaction(work)),
    };
    const presence = new Presence({
      database,
      clock: { ...systemClock, wallMs: () => now, after: () => ({ cancel: () => {} }) },
      log: silentLog,
      present: () => [...here, ...here].map((providerId) => ({ providerId })),
    });
    await presence.look();
    here.add('prov_a');
    now += 20_000;
    await presence.look();
    here.add('prov_b');
    now += 60_000;
    broken = true;
    await expect(presence.look()).rejects.toThrow('away');
    now += 60_000;
    broken = false;
    await presence.look();
    await presence.close();
    const rows = await fresh.database.sql`
      select provider_id, bit_count(minutes) as minutes from provider_minutes where day = '2031-03-01' order by 1`;
    expect([...rows]).toEqual([
      { provider_id: 'prov_a', minutes: 2n },
      { provider_id: 'prov_b', minutes: 1n },
    ]);
    const [market] = await fresh.database
      .sql`select bit_count(minutes) as minutes from market_minutes where day = '2031-03-01'`;
    expect(market).toEqual({ minutes: 2n });
  });
});
