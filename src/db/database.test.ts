import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { silentLog } from '#kit/log.ts';
import { CutLine } from '#support/cut-line.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { type Database, databaseGone, openDatabase } from './database.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  await fresh.drop();
});

describe('amounts travel exactly', () => {
  const huge = 123_456_789_012_345_678_901_234_567_890n;

  test('a bigint beyond 64 bits goes in and comes back', async () => {
    const [row] = await fresh.database.sql<{ n: bigint; m: bigint; i: bigint }[]>`
      select ${huge}::numeric as n, ${-huge}::numeric(38,0) as m, ${5n}::int8 as i`;
    expect(row).toEqual({ n: huge, m: -huge, i: 5n });
  });

  test('so do arrays of them, also within a transaction', async () => {
    const rows = await fresh.database.transaction(
      (sql) => sql<{ n: bigint | null }[]>`select n from unnest(${[null, huge, -1n]}::numeric[]) as t(n)`,
    );
    expect(rows.map((row) => row.n)).toEqual([null, huge, -1n]);
  });

  test('a fraction is refused rather than rounded', async () => {
    await expect(fresh.database.sql`select 1.5::numeric`).rejects.toThrow(/fraction/);
  });
});

describe('transactions', () => {
  test('leave nothing behind when they throw', async () => {
    const { database } = fresh;
    await database.sql`create table kept (id int)`;
    const failed = database.transaction(async (sql) => {
      await sql`insert into kept values (1)`;
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await database.sql`select * from kept`).toHaveLength(0);
  });
});

describe('bug: a connection that breaks within a transaction ends the transaction, not the process', () => {
  let line: CutLine;
  let cut: Database;
  beforeEach(async () => {
    const opened = await CutLine.to(fresh.url);
    line = opened.line;
    cut = openDatabase({ url: opened.url, log: silentLog, maxConnections: 2 });
  });
  afterEach(async () => {
    await cut.close();
    await line.close();
  });

  test('during a statement', async () => {
    const failed = cut.transaction(async (sql) => {
      const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      const sleeping = sql`select pg_sleep(60)`;
      await Promise.all([sleeping, fresh.database.sql`select 1`.then(() => line.cut())]);
      return row;
    });
    await expect(failed).rejects.toSatisfy(databaseGone);
    line.mend();
    expect([...(await cut.sql`select 1 as n`)]).toEqual([{ n: 1 }]);
  });

  test('between two statements, and whoever goes on all the same is refused', async () => {
    let wentOn: (end: Promise<unknown>) => void = () => {};
    const second = new Promise((resolve) => {
      wentOn = resolve;
    });
    const failed = cut.transaction(async (sql) => {
      await sql`select 1`;
      line.cut();
      // On the other connection, so that by then the loss is known.
      await cut.sql`select 2`.catch(() => {});
      const third = (async () => await sql`select 3`)();
      wentOn(third);
      await third;
    });
    await expect(failed).rejects.toSatisfy(databaseGone);
    await expect(second).rejects.toSatisfy(databaseGone);
  });

  test('when the server ends it', async () => {
    const failed = fresh.database.transaction(async (sql) => {
      const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      const end = async () => await fresh.another().sql`select pg_terminate_backend(${row?.pid ?? 0})`;
      await Promise.all([sql`select pg_sleep(60)`, end()]);
    });
    await expect(failed).rejects.toSatisfy(databaseGone);
  });
});

describe('notifications', () => {
  test('are heard again after the connection was lost, and the listener is told', async () => {
    const { database } = fresh;
    const heard: string[] = [];
    let listens = 0;
    let again = (): void => {};
    const relistened = new Promise<void>((resolve) => {
      again = resolve;
    });
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const { stop } = await database.listen(
      'news',
      (payload) => {
        heard.push(payload);
        arrived();
      },
      () => {
        listens += 1;
        if (listens === 2) again();
      },
    );
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and query like 'listen%'`;
    await relistened;
    await database.sql`select pg_notify('news', 'hello')`;
    await arrival;
    expect(heard).toEqual(['hello']);
    await stop();
  });
});

describe('a database that cannot be used is a fault, soon', () => {
  test('nobody listens on the port', async () => {
    const database = openDatabase({ url: 'postgres://u:p@127.0.0.1:1/none', log: silentLog });
    const error = await database.sql`select 1`.then(undefined, (reason) => reason);
    expect(databaseGone(error)).toBe(true);
    expect(databaseGone(await database.transaction(async () => 1).then(undefined, (reason) => reason))).toBe(
      true,
    );
    await database.close();
  });

  test('somebody listens and never answers', async () => {
    const silent: Server = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const database = openDatabase({
      url: `postgres://u:p@127.0.0.1:${port}/none`,
      log: silentLog,
      maxConnections: 1,
      deadlineMs: 100,
      connectTimeoutMs: 300,
    });
    const outcomes = await Promise.all([
      ...[1, 2, 3].map((n) => database.sql`select ${n}`.then(undefined, databaseGone)),
      database.transaction(async () => 1).then(undefined, databaseGone),
    ]);
    expect(outcomes).toEqual([true, true, true, true]);
    await database.close();
    silent.close();
  });

  test('a statement that never ends', async () => {
    const database = fresh.another({ deadlineMs: 100 });
    const error = await database.sql`select pg_sleep(1)`.then(undefined, (reason) => reason);
    expect(databaseGone(error)).toBe(true);
    const inside = await database
      .transaction((sql) => sql`select pg_sleep(1)`)
      .then(undefined, (reason) => reason);
    expect(databaseGone(inside)).toBe(true);
  });

  test('bug: a connection on which a silent network lost a statement is given up, and the next one is served by another', async () => {
    const { line, url } = await CutLine.to(fresh.url);
    const database = openDatabase({ url, log: silentLog, maxConnections: 1, deadlineMs: 1_000 });
    const session = async (): Promise<number> =>
      (await database.sql<[{ pid: number }]>`select pg_backend_pid() as pid`)[0].pid;
    const before = await session();
    line.hush();
    expect(databaseGone(await session().catch((error: unknown) => error))).toBe(true);
    // Whoever was connected hears nothing any more, though the line is whole.
    line.forget();
    line.mend();
    await expect.poll(session, { timeout: 10_000 }).not.toBe(before);
    expect(await database.transaction(async (sql) => [...(await sql`select 1 as n`)])).toEqual([{ n: 1 }]);
    await database.close();
    await line.close();
  });

  test('bug: a server keeps no session for hours whose client a silent network has swallowed', async () => {
    const [row] = await fresh.database.sql`
      select current_setting('tcp_keepalives_idle') as idle, current_setting('tcp_keepalives_interval') as every,
        current_setting('tcp_keepalives_count') as times, current_setting('tcp_user_timeout') as unheard,
        current_setting('idle_in_transaction_session_timeout') as standing`;
    expect(row).toEqual({ idle: '30', every: '10', times: '3', unheard: '30000', standing: '15s' });
  });

  test('while a refusal by the server stays what it is', async () => {
    await expect(fresh.database.sql`select * from nowhere`).rejects.toMatchObject({ code: '42P01' });
  });
});
