import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressOf } from '#chain/local-chain.ts';
import { type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import { demoDay } from '#cli/demo-day.ts';
import { type Config, readConfig } from '#config/config.ts';
import { parseUsd } from '#domain/money.ts';
import { dayName, dayOf } from '#domain/window.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { run } from '#support/program.ts';
import { earns, providerWith } from '#support/settlement.ts';
import { visit } from '#support/visitor.ts';

test('a day from deposit to claim adds up to the smallest unit, on chain and in the ledger', async () => {
  const fresh = await freshDatabase();
  try {
    const figures = await demoDay({ requests: 40, say: () => {}, databaseUrl: fresh.url });
    expect(figures.problems).toEqual([]);
    expect(figures).toMatchObject({ answered: 40, claimed: figures.promised });
    expect(figures.claimed).toBeGreaterThan(0n);
  } finally {
    await fresh.drop();
  }
}, 120_000);

describe('the commands and addresses of an open market', () => {
  let fresh: FreshDatabase;
  let folder: string;
  let chain: MarketChain;
  let config: Config;
  let market: Marketplace;
  let provider: string;
  const today = dayName(dayOf(systemClock.wallMs()));

  beforeAll(async () => {
    fresh = await freshDatabase();
    folder = mkdtempSync(path.join(tmpdir(), 'cygnet-settled-'));
    const databaseUrl = new Sealed(fresh.url);
    config = readConfig(
      {},
      { dataFolder: folder, databaseUrl, gatewayPort: 0, hubPort: 0, benchmarks: { mode: 'off' } },
    );
    chain = await openMarketChain(config.chain, {
      dataFolder: folder,
      clock: systemClock,
      random: systemRandomness,
    });
    market = await openMarketplace({
      config,
      database: fresh.database,
      databaseUrl: fresh.url,
      chain,
      clock: systemClock,
      random: systemRandomness,
      log: silentLog,
    });
    const wallet = addressOf(chain.demoWallets[0] as Sealed<`0x${string}`>);
    provider = await providerWith(fresh.database, wallet, systemClock.wallMs());
    await earns(fresh.database, provider, parseUsd('61.5'), systemClock.wallMs() - 1_000);
  }, 120_000);
  afterAll(async () => {
    await market.close();
    await chain.close('stop');
    await fresh.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  const cygnet = async (...words: string[]) => {
    const ended = await run([...words, '--json'], { DATABASE_URL: fresh.url, CYGNET_DATA_DIR: folder });
    return { ...ended, json: ended.out === '' ? undefined : JSON.parse(ended.out) };
  };
  const at = (place: string): string => `http://127.0.0.1:${market.gatewayPort}/api/v1${place}`;

  test('a rehearsal shows what would be paid and pays nothing', async () => {
    const { code, json } = await cygnet('settle', '--until', today, '--dry-run');
    expect(code).toBe(0);
    expect(json.batch).toMatchObject({ increase: '61500000', payouts: [{ providerId: provider }] });
    expect((await cygnet('settlements', 'list')).json).toEqual([]);
  }, 90_000);

  test('a day that has not begun, and one that is none, are refused', async () => {
    expect((await cygnet('settle', '--until', '2999-01-01')).err).toContain('not begun');
    expect((await cygnet('settle', '--until', 'friday')).code).toBe(2);
    expect((await cygnet('settlements', 'show', '7')).err).toContain('no batch 7');
  }, 90_000);

  test('a day is settled, listed, published over HTTP byte for byte, and claimed once', async () => {
    const settled = await cygnet('settle', '--until', today);
    expect(settled.err).toBe('');
    expect(settled.json.settlement).toMatchObject({ number: 1, increase: '61500000', state: 'confirmed' });
    const listed = await visit(at('/settlements'));
    expect(listed.json.data.settlements).toMatchObject([{ batch: 1, state: 'confirmed', total: '61500000' }]);
    const file = await (await fetch(at('/settlements/1/claims'))).text();
    const hash = createHash('sha256').update(file).digest('hex');
    expect(`0x${hash}`).toBe(listed.json.data.settlements[0].claims_hash);
    expect(file).toBe(readFileSync(settled.json.file, 'utf8'));
    expect((await cygnet('settlements', 'show', '1')).json.payouts).toMatchObject([{ units: '61500000' }]);

    const base = `http://127.0.0.1:${market.gatewayPort}`;
    const early = await cygnet('claim', '--demo', '--market', base);
    expect(early.json).toMatchObject({ paid: '0', batch: 0, waiting: { batch: 1 } });
    await chain.pass(61);
    const key = path.join(folder, 'wallet');
    writeFileSync(key, (chain.demoWallets[0] as Sealed<string>).open());
    const claimed = await cygnet('claim', '--key-file', key, '--market', base);
    expect(claimed.json).toMatchObject({ paid: '61500000', batch: 1, waiting: null });
    expect((await cygnet('claim', '--demo', '--market', base)).json).toMatchObject({ paid: '0' });
    // Any command that settles reads what was claimed.
    expect((await cygnet('settle', '--until', today)).json).toEqual({ settlement: null });
    const stranger = await cygnet('claim', '--demo', '--market', base, '--contract', `0x${'7'.repeat(40)}`);
    expect(stranger).toMatchObject({ code: 1, out: '' });
  }, 300_000);

  test('an address that a batch does not know, or that is none, is told so', async () => {
    expect((await visit(at(`/settlements/1/proof/0x${'9'.repeat(40)}`))).status).toBe(404);
    expect((await visit(at('/settlements/1/proof/me'))).status).toBe(400);
    expect((await visit(at('/settlements/99'))).status).toBe(404);
    expect((await visit(at('/settlements/01/claims'))).status).toBe(404);
  });

  test('a claims file that was tampered with is told by the audit', async () => {
    const { json } = await cygnet('settlements', 'show', '1');
    const text = readFileSync(json.file, 'utf8');
    writeFileSync(json.file, text.replace('61500000","61500000', '61500001","61500001'));
    const audited = await cygnet('audit');
    expect(audited.code).toBe(1);
    expect(audited.json.differences).toContainEqual(
      expect.objectContaining({ what: 'A claims file has another hash than its batch.' }),
    );
    writeFileSync(json.file, text);
  }, 90_000);
});
