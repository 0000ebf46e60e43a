import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tokenBalance } from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import { type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import { type Config, readConfig } from '#config/config.ts';
import type { Hex } from '#domain/hex.ts';
import { PICO_PER_USD } from '#domain/money.ts';
import { dayName, dayOf, dayStart } from '#domain/window.ts';
import { Deposits } from '#funds/deposits.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { Book } from '#ledger/book.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { makeConsumer, makeId, makeKeyOf } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { run } from '#support/program.ts';
import { usageOf } from '#support/records.ts';
import { providerWith } from '#support/settlement.ts';
import { visit } from '#support/visitor.ts';
import { rewardsAnswer } from '#wire/console.ts';

// A day's pool from what was measured to two wallets, by the commands an operator and a provider type, on a real node.

describe('a rewarded day', () => {
  const yesterday = dayOf(systemClock.wallMs()) - 1;
  const day = dayName(yesterday);
  const POOL = 1_000n * 10n ** 18n;
  let fresh: FreshDatabase;
  let folder: string;
  let config: Config;
  let chain: MarketChain;
  let market: Marketplace | undefined;
  let providers: string[];
  let providerKey: string;

  beforeAll(async () => {
    fresh = await freshDatabase();
    folder = mkdtempSync(path.join(tmpdir(), 'cygnet-rewarded-'));
    const databaseUrl = new Sealed(fresh.url);
    config = readConfig({}, { dataFolder: folder, databaseUrl, gatewayPort: 0, hubPort: 0 });
    chain = await openMarketChain(config.chain, {
      dataFolder: folder,
      clock: systemClock,
      random: systemRandomness,
    });
    const { database } = fresh;
    providers = [];
    for (const key of chain.demoWallets.slice(0, 2)) {
      providers.push(await providerWith(database, addressOf(key), systemClock.wallMs()));
    }
    providerKey = (await makeKeyOf(database, 'provider', providers[0] as string)).key;
    // What was paid in counts by when it was booked.
    const clock = { ...systemClock, wallMs: () => dayStart(yesterday) };
    const book = new Book({ database, instance: 'test', clock, log: silentLog });
    const { id: consumerId } = await makeConsumer(database, 0n);
    const payment = { method: 'bank', consumerId, amount: PICO_PER_USD, reference: 'pay 1' } as const;
    await new Deposits({ database, clock }).confirm(payment);
    await database.sql`select grow_lease('test', ${consumerId}, 1000000::numeric, 1000000::numeric, 'change_1')`;
    for (const [providerId, count] of [
      [providers[0], 200],
      [providers[1], 100],
    ] as const) {
      const at = dayStart(yesterday) + 1_000;
      const about = { consumerId, providerId: providerId as string, at };
      await book.post(Array.from({ length: count }, () => usageOf({ ...about, id: makeId('req') })));
    }
    await database.sql`
      insert into market_minutes (day, minutes) values (${day}, repeat('1', 1440)::bit(1440))`;
    await database.sql`
      insert into provider_minutes (day, provider_id, minutes)
      select ${day}, id, repeat('1', 1440)::bit(1440) from unnest(${providers}::text[]) as t(id)`;
  }, 120_000);
  afterAll(async () => {
    await market?.close();
    await chain.close('stop');
    await fresh.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  const cygnet = async (...words: string[]) => {
    const ended = await run([...words, '--json'], { DATABASE_URL: fresh.url, CYGNET_DATA_DIR: folder });
    return { ...ended, json: ended.out === '' ? undefined : JSON.parse(ended.out) };
  };

  test('terms are set for days to come, listed, and refused for what is over', async () => {
    expect((await cygnet('rewards', 'terms', '1000', '--from', day)).err).toContain('in the past');
    expect((await cygnet('rewards', 'terms', 'much')).code).toBe(2);
    expect((await cygnet('rewards', 'terms', '1', '--phase', '4')).code).toBe(2);
    expect((await cygnet('rewards', 'run', '--dry-run')).err).toContain('No terms are in force');
    // As it was set the day before yesterday.
    const at = new Date(dayStart(yesterday - 1));
    await fresh.database.sql`
      insert into reward_terms (effective_day, pool, phase, ubi_bps, set_at) values (${day}, ${POOL}, 3, 10000, ${at})`;
    const later = await cygnet(
      'rewards',
      'terms',
      '0.5',
      '--phase',
      '1',
      '--ubi',
      '20',
      '--from',
      '2999-01-01',
    );
    expect(later.json).toMatchObject([
      { effectiveDay: '2999-01-01', pool: '500000000000000000', phase: 1, ubiBps: 2000 },
      { effectiveDay: day, phase: 3 },
    ]);
    const again = await cygnet('rewards', 'terms', '1', '--from', '2999-01-01');
    expect(again.err).toContain('never rewritten');
    const [first = ''] = providers;
    expect((await cygnet('rewards', 'tier', first, '3')).code).toBe(2);
    expect((await cygnet('rewards', 'tier', first, '4')).json).toEqual({ providerId: first, tier: 4 });
  }, 120_000);

  test('what the ledger rewarded is what the wallets have, to the unit', async () => {
    expect((await cygnet('rewards', 'run')).json).toEqual({ rewarded: [day], vested: [] });
    expect((await cygnet('rewards', 'run')).json).toEqual({ rewarded: [], vested: [] });
    const shown = await cygnet('rewards', 'show', day);
    expect(shown.json).toMatchObject({ pool: `${POOL}`, differing: [] });
    const liquid = new Map<string, bigint>(
      shown.json.shares.map((share: { providerId: string; liquid: string }) => [
        share.providerId,
        BigInt(share.liquid),
      ]),
    );
    expect([...liquid.values()].every((units) => units > 0n)).toBe(true);
    expect((await cygnet('rewards', 'list')).json).toMatchObject([
      { day, given: shown.json.given, vested: false },
    ]);

    const rehearsed = await cygnet('settle', '--rewards', '--dry-run');
    const all = [...liquid.values()].reduce((sum, each) => sum + each, 0n);
    expect(rehearsed.json.batch).toMatchObject({ increase: `${all}`, carriedOver: [] });
    const settled = await cygnet('settle', '--rewards');
    expect(settled.err).toBe('');
    expect(settled.json.settlement).toMatchObject({ number: 1, increase: `${all}`, state: 'confirmed' });
    // Earnings are another series: none is due.
    expect((await cygnet('settlements', 'list')).json).toEqual([]);
    expect((await cygnet('settlements', 'list', '--rewards')).json).toMatchObject([
      { number: 1, total: `${all}` },
    ]);
    const { distributor, rpcUrls } = chain;
    const checked = await cygnet(
      'verify',
      settled.json.file,
      '--rpc',
      rpcUrls[0] as string,
      '--contract',
      distributor,
    );
    expect(checked).toMatchObject({ code: 0 });
    await chain.pass(61);

    market = await openMarketplace({
      config,
      database: fresh.database,
      databaseUrl: fresh.url,
      chain,
      clock: systemClock,
      random: systemRandomness,
      log: silentLog,
    });
    const base = `http://127.0.0.1:${market.gatewayPort}`;
    const swan = chain.assets.find(({ asset }) => asset === 'SWAN')?.token as Hex;
    for (const [i, providerId] of providers.entries()) {
      const wallet = chain.demoWallets[i] as Sealed<Hex>;
      const file = path.join(folder, `wallet-${i}`);
      writeFileSync(file, wallet.open());
      const had = await tokenBalance(chain.chain, swan, addressOf(wallet));
      const claimed = await cygnet('claim', '--rewards', '--key-file', file, '--market', base);
      expect(claimed.json).toMatchObject({ batch: 1, paid: `${liquid.get(providerId)}` });
      expect(await tokenBalance(chain.chain, swan, addressOf(wallet))).toBe(
        had + (liquid.get(providerId) as bigint),
      );
      const again = await cygnet('claim', '--rewards', '--key-file', file, '--market', base);
      expect(again.json).toMatchObject({ paid: '0' });
    }
    // Any command that settles reads what was claimed.
    expect((await cygnet('settle', '--rewards')).json).toEqual({ settlement: null });
    const [claimable] = await fresh.database.sql`
      select balance from token_accounts where id = 'platform:claimable'`;
    expect(claimable).toEqual({ balance: 0n });
    const [cash] = await fresh.database.sql`select balance from token_accounts where id = 'platform:cash'`;
    expect(cash).toEqual({ balance: all - POOL });
    const audited = await cygnet('audit');
    expect(audited.json.differences).toEqual([]);
    expect(audited).toMatchObject({
      code: 0,
      json: { checkedSettlements: 1, checkedPayouts: 2, checkedClaims: 2 },
    });
  }, 300_000);

  test('a provider sees its days with what it was judged by, and the batches of rewards are public', async () => {
    const base = `http://127.0.0.1:${market?.gatewayPort}/api/v1`;
    const [first = ''] = providers;
    const mine = await visit(`${base}/provider/me/rewards`, { token: providerKey });
    const answer = rewardsAnswer.parse(mine.json);
    expect(answer.days).toMatchObject([
      { day, phase: 3, excluded: null, measured: { inferences: 200, tokens: 6_000, hardware_tier: 1 } },
    ]);
    expect(answer.payable).toBe('0');
    expect(answer.vesting).toBe(answer.days[0]?.locked);
    expect((await visit(`${base}/provider/me/rewards`)).status).toBe(401);
    expect((await visit(`${base}/provider/me/rewards?limit=0`, { token: providerKey })).status).toBe(400);
    const listed = await visit(`${base}/settlements?asset=SWAN`);
    expect(listed.json.data.settlements).toMatchObject([{ batch: 1, decimals: 18 }]);
    expect((await visit(`${base}/settlements`)).json.data.settlements).toEqual([]);
    expect((await visit(`${base}/settlements?asset=EUR`)).status).toBe(400);
    const leaders = await visit(`${base}/stats/leaderboard`);
    const score = leaders.json.data.providers.find(
      (each: { provider_id: string }) => each.provider_id === first,
    );
    expect(score.contribution_score).toBeGreaterThan(0.5);
    const stats = await visit(`${base}/provider/me/stats`, { token: providerKey });
    expect(stats.json.uptime_7d_percent).toBeGreaterThan(90);
  }, 60_000);
});
