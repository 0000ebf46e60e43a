import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { addressOf } from '#chain/local-chain.ts';
import { type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import { type Config, readConfig } from '#config/config.ts';
import { parseUsd } from '#domain/money.ts';
import { dayName, dayOf } from '#domain/window.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { makeKeyOf } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { run } from '#support/program.ts';
import { earns, providerWith } from '#support/settlement.ts';
import { visit } from '#support/visitor.ts';

// The last link: a provider collects what a day promised, with the agent's own program, on a real chain.

let fresh: FreshDatabase;
let folder: string;
let chain: MarketChain;
let market: Marketplace;
let key: string;
let wallet: Sealed<`0x${string}`>;

beforeAll(async () => {
  fresh = await freshDatabase();
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-agent-claim-'));
  const databaseUrl = new Sealed(fresh.url);
  const config: Config = readConfig({}, { dataFolder: folder, databaseUrl, gatewayPort: 0, hubPort: 0 });
  const [clock, random] = [systemClock, systemRandomness];
  chain = await openMarketChain(config.chain, { dataFolder: folder, clock, random });
  market = await openMarketplace({
    config,
    database: fresh.database,
    databaseUrl: fresh.url,
    chain,
    clock,
    random,
    log: silentLog,
  });
  wallet = chain.demoWallets[0] as Sealed<`0x${string}`>;
  const provider = await providerWith(fresh.database, addressOf(wallet), clock.wallMs());
  key = (await makeKeyOf(fresh.database, 'provider', provider)).key;
  await earns(fresh.database, provider, parseUsd('61.5'), clock.wallMs() - 1_000);
  await vi.waitFor(
    async () => {
      const { json } = await visit(`${url()}/api/v1/provider/status`, { token: key });
      if (json.api_key_valid !== true) throw new Error('The key is not known yet.');
    },
    { timeout: 10_000 },
  );
}, 120_000);
afterAll(async () => {
  await market.close();
  await chain.close('stop');
  await fresh.drop();
  rmSync(folder, { recursive: true, force: true });
});

const url = () => `http://127.0.0.1:${market.gatewayPort}`;
const claim = async (words: readonly string[], env: Record<string, string> = {}) => {
  const { code, out, err } = await run(
    ['claim', '--market', url(), '--folder', path.join(folder, 'agent'), '--json', ...words],
    { INFERENCE_API_KEY: key, ...env },
    { file: path.join(packageRoot(), 'bin', 'cygnet-agent.mjs') },
  );
  return { code, err, json: out === '' ? undefined : JSON.parse(out) };
};
const rpc = () => ['--rpc', chain.rpcUrls[0] as string];

test('before a day is settled there is nothing to collect', async () => {
  expect(await claim(rpc())).toMatchObject({ code: 0, json: { claimable: '0', promised: '0' } });
}, 60_000);

test('what a day promised is collected once, with the key of the wallet or with any wallet by hand', async () => {
  const today = dayName(dayOf(systemClock.wallMs()));
  const settled = await run(['settle', '--until', today, '--json'], {
    DATABASE_URL: fresh.url,
    CYGNET_DATA_DIR: folder,
  });
  expect(JSON.parse(settled.out).settlement).toMatchObject({ number: 1, state: 'confirmed' });
  // Its time lock is not over.
  expect((await claim(rpc())).json).toMatchObject({ claimable: '0' });
  await chain.pass(61);
  const byHand = await claim([]);
  expect(byHand.json).toMatchObject({
    batch: 1,
    promised: '61500000',
    call: expect.stringMatching(/^0xfabed412/),
  });
  expect((await claim(rpc())).json).toMatchObject({ claimable: '61500000' });

  const file = path.join(folder, 'wallet');
  writeFileSync(file, wallet.open());
  const paid = await claim([...rpc(), '--key-file', file]);
  expect(paid.err).toBe('');
  expect(paid.json).toMatchObject({ claimable: '61500000', transaction: expect.stringMatching(/^0x/) });
  const again = await claim([...rpc(), '--key-file', file]);
  expect(again).toMatchObject({ code: 0, json: { claimable: '0' } });
  expect(again.json.transaction).toBeUndefined();
}, 180_000);

test('a contract that is not the one you know, another chain and a key that is none are refused', async () => {
  expect((await claim([...rpc(), '--contract', `0x${'7'.repeat(40)}`])).err).toContain('you know');
  const bad = await claim(rpc(), { CYGNET_WALLET_KEY: 'sk-not-a-key' });
  expect([bad.code, bad.err.includes('sk-not-a-key')]).toEqual([2, false]);
  expect((await claim(['--wallet', 'me'])).code).toBe(2);
}, 60_000);
