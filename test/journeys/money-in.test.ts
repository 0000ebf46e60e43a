import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeFunctionData, erc20Abi } from 'viem';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { providerCollateralAbi } from '#chain/artifacts.ts';
import { Sender } from '#chain/client.ts';
import { AddressTree, xpubOf } from '#chain/derived-address.ts';
import { addressOf } from '#chain/local-chain.ts';
import { type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { sendIntent, unitsOf } from '#chain/transfers.ts';
import { signText } from '#chain/wallet-signature.ts';
import { readConfig } from '#config/config.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { addressesOf } from '#funds/deposit-addresses.ts';
import { sweep } from '#funds/sweep.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { ask } from '#support/chat-client.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { run } from '#support/program.ts';
import {
  openStripe,
  paidSession,
  SECRET_KEY,
  type StripeDouble,
  WEBHOOK_SECRET,
  webhook,
} from '#support/stripe.ts';
import { visit } from '#support/visitor.ts';

// Money on its way in, through an open market: over REST, Stripe's webhook and a real chain.

let fresh: FreshDatabase;
let folder: string;
let chain: MarketChain;
let market: Marketplace;
let stripe: StripeDouble;
beforeAll(async () => {
  [fresh, stripe] = await Promise.all([freshDatabase(), openStripe()]);
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-funds-'));
  const config = readConfig(
    {},
    {
      dataFolder: folder,
      databaseUrl: new Sealed(fresh.url),
      gatewayPort: 0,
      hubPort: 0,
      benchmarks: { mode: 'off' },
      funds: { stripeKey: SECRET_KEY, stripeWebhookSecret: WEBHOOK_SECRET, stripeApi: stripe.api },
    },
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
}, 60_000);
afterAll(async () => {
  await market.close(1_000);
  const report = await audit(fresh.database);
  await chain.close('stop');
  await stripe.close();
  await fresh.drop();
  rmSync(folder, { recursive: true, force: true });
  assert.deepEqual(report.differences, []);
});

const at = (where: string): string => `http://127.0.0.1:${market.gatewayPort}/api/v1${where}`;
let people = 0;
async function person(): Promise<{ token: string }> {
  const email = `payer${++people}@example.org`;
  const { json, status } = await visit(at('/user/signup'), { body: { email, password: 'correct horse' } });
  assert.equal(status, 200);
  return { token: json.token };
}
const available = async (token: string) => (await visit(at('/user/me/balance'), { token })).json.available;
const soon = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 100 });

let sent = 0;
async function call(key: Sealed<Hex>, to: Address, data: Hex): Promise<Hex> {
  const sender = new Sender({
    chain: chain.chain,
    store: new MemoryTransactionStore(),
    key,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 14n, replaceAfterMs: 60_000 },
  });
  const { id } = await sender.send({ id: `call ${sent++}`, to, data });
  const { status, hash } = await sender.settled(id, 5);
  assert.equal(status, 'done');
  return hash as Hex;
}
const usdc = () => chain.assets[0]?.token as Address;

test('a card: a page of Stripe, its webhook, and the balance', async () => {
  const { token } = await person();
  const small = await visit(at('/user/me/topup/card'), { token, body: { amount_usd: '4.99' } });
  expect([small.status, small.json.error]).toEqual([400, 'A card deposit is between $5 and $999999.99.']);
  const { json } = await visit(at('/user/me/topup/card'), { token, body: { amount_usd: 20 } });
  expect(json.url).toMatch(/^https:\/\/checkout\.stripe\.com\//);
  const news = webhook(paidSession(json.id, { payment: 'pi_journey', cents: 2_000 }), {
    atMs: systemClock.wallMs(),
  });
  const post = (signature: string) =>
    ask({
      url: `http://127.0.0.1:${market.gatewayPort}`,
      path: '/api/v1/webhooks/stripe',
      method: 'POST',
      body: JSON.parse(news.payload.toString('utf8')),
      headers: { 'stripe-signature': signature },
    });
  expect((await post('t=1,v1=00')).status).toBe(400);
  expect(await available(token)).toBe('0.00');
  expect((await post(news.signature)).json).toEqual({ received: true, news: 'booked' });
  expect((await post(news.signature)).json).toEqual({ received: true, news: 'known' });
  expect(await available(token)).toBe('20.00');
});

test("crypto: an address of one's own, tokens sent to it, the balance, and the operator who sweeps it", async () => {
  const { token } = await person();
  const { json: ways } = await visit(at('/user/me/topup'), { token });
  expect(ways.crypto).toMatchObject({
    chain_id: chain.chain.id,
    minimum_usd: '1.00',
    swan_bonus_percent: 20,
  });
  expect((await visit(at('/user/me/topup'), { token })).json.crypto.address).toBe(ways.crypto.address);
  const { to, data } = sendIntent('', { token: usdc(), to: ways.crypto.address, units: 12_500_000n });
  await call(chain.demoWallets[0] as Sealed<Hex>, to as Address, data);
  await soon(async () => expect(await available(token)).toBe('12.50'));
  const { json: list } = await visit(at('/user/me/deposits'), { token });
  expect(list).toMatchObject({ total_deposited_usd: '12.50', total_spent_usd: '0.00' });
  expect(list.deposits).toMatchObject([{ method: 'crypto', asset: 'USDC', status: 'booked' }]);

  const key = chain.depositKey as Sealed<string>;
  const tree = new AddressTree(xpubOf(key));
  const vault: Address = `0x${'7a'.repeat(20)}`;
  const all = async () =>
    await sweep({
      chain: chain.chain,
      tree,
      key,
      clock: systemClock,
      assets: chain.assets,
      to: vault,
      pollMs: 5,
      operatorKey: chain.demoWallets[1] as Sealed<Hex>,
      store: new MemoryTransactionStore(),
      settings: { confirmations: 1, maxFeePerGas: chain.maxFeePerGas, replaceAfterMs: 60_000 },
      addresses: await addressesOf(fresh.database, tree.id),
    });
  expect(await all()).toMatchObject([{ address: ways.crypto.address, asset: 'USDC', units: 12_500_000n }]);
  expect(await unitsOf(chain.chain, { token: usdc(), account: vault })).toBe(12_500_000n);
  expect(await all()).toEqual([]);
  expect(await available(token)).toBe('12.50');
}, 60_000);

test('a plan: refused without the money, paid from the balance with it', async () => {
  const { token } = await person();
  const choose = () => visit(at('/user/me/plan'), { method: 'PUT', token, body: { plan: 'pro' } });
  expect((await choose()).status).toBe(402);
  expect((await visit(at('/user/me/plan'), { token })).json).toMatchObject({ plan: 'pay-as-you-go' });
  const { json } = await visit(at('/user/me/topup/card'), { token, body: { amount_usd: 10 } });
  const news = webhook(paidSession(json.id, { payment: 'pi_plan', cents: 1_000 }), {
    atMs: systemClock.wallMs(),
  });
  await ask({
    url: `http://127.0.0.1:${market.gatewayPort}`,
    path: '/api/v1/webhooks/stripe',
    method: 'POST',
    body: JSON.parse(news.payload.toString('utf8')),
    headers: { 'stripe-signature': news.signature },
  });
  expect((await choose()).status).toBe(200);
  expect((await visit(at('/user/me/plan'), { token })).json.paid_until).toMatch(/^\d{4}-/);
  expect(await available(token)).toBe('4.00');
});

test('collateral: the contract is named, a deposit told and confirmed, dollars announced', async () => {
  const { token } = await person();
  const wallet = chain.demoWallets[2] as Sealed<Hex>;
  const { json: named } = await visit(at('/provider/collateral/contract'));
  const [usdcLine] = named.data.chains;
  expect(usdcLine).toMatchObject({ token_symbol: 'USDC', token_decimals: 6, min_collateral: 20 });
  const { json: provider } = await visit(at('/consumer/upgrade-to-provider'), {
    token,
    body: { name: 'pledger', wallet_address: addressOf(wallet) },
  });
  const key = provider.provider_api_key;
  // What is only said of a wallet proves nothing: it signs.
  const early = { token: key, body: { tx_hash: `0x${'0'.repeat(64)}` } };
  expect((await visit(at('/provider/collateral/deposit'), early)).status).toBe(409);
  const { json: asked } = await visit(at('/provider/wallet/challenge'), {
    token: key,
    body: { purpose: 'owner', address: addressOf(wallet) },
  });
  const { nonce, message } = asked.data;
  const prove = async (signature: string) =>
    await visit(at('/provider/wallet/prove'), { token: key, body: { nonce, signature } });
  expect((await prove('0x12')).status).toBe(400);
  expect((await prove(await signText(wallet, message))).json.data).toMatchObject({
    owner_address: addressOf(wallet),
    payout_address: addressOf(wallet),
  });
  expect((await prove(await signText(wallet, message))).status).toBe(409);
  const contract = usdcLine.contract_address as Address;
  const args = [contract, 20_000_000n] as const;
  await call(wallet, usdc(), encodeFunctionData({ abi: erc20Abi, functionName: 'approve', args }));
  const transaction = await call(
    wallet,
    contract,
    encodeFunctionData({
      abi: providerCollateralAbi,
      functionName: 'deposit',
      args: [usdc(), 20_000_000n],
    }),
  );
  const told = await visit(at('/provider/collateral/deposit'), {
    token: key,
    body: { tx_hash: transaction, chain_id: chain.chain.id },
  });
  expect(told.json.data).toMatchObject({ status: 'confirmed', asset: 'USDC', amount: '20000000' });
  await soon(async () => {
    const { json } = await visit(at('/provider/collateral'), { token });
    expect(json.data).toMatchObject({ enough: true, covered_percent: 100 });
    expect(json.data.pledges).toMatchObject([{ asset: 'USDC', locked: '20000000', status: 'confirmed' }]);
  });
  const dollars = await visit(at('/provider/collateral/deposit'), { token: key, body: { amount_usd: '20' } });
  expect(dollars.json.data).toMatchObject({ status: 'pending', asset: 'USD' });
  expect((await visit(at('/provider/collateral/refund'), { token, body: {} })).status).toBe(409);
  // Asking money back is for the person, not for whoever has the machine.
  expect((await visit(at('/provider/collateral/refund'), { token: key, body: {} })).status).toBe(401);
  const nonsense = await visit(at('/provider/collateral/deposit'), { token: key, body: { tx_hash: '0x12' } });
  expect(nonsense.status).toBe(400);
}, 60_000);

test('the operator books, prices, pays back and confirms on the command line, each once', async () => {
  const cygnet = async (...words: string[]) => {
    const ended = await run([...words, '--json'], { DATABASE_URL: fresh.url, CYGNET_DATA_DIR: folder });
    return { ...ended, json: ended.out === '' ? undefined : JSON.parse(ended.out) };
  };
  const { token } = await person();
  const { json: consumer } = await cygnet('consumers', 'list');
  const id = consumer.at(-1).id as string;
  const confirm = ['deposits', 'confirm', id, '50', '--reference', 'INV 1'];
  expect((await cygnet(...confirm)).json).toMatchObject({ answer: 'booked' });
  expect((await cygnet(...confirm)).json).toMatchObject({ answer: 'known' });
  expect(await available(token)).toBe('50.00');
  const tooMuch = await cygnet('deposits', 'withdraw', id, '50.01', '--reference', 'out 1');
  expect([tooMuch.code, tooMuch.err]).toEqual([1, expect.stringContaining('$50.00')]);
  expect((await cygnet('deposits', 'withdraw', id, '8', '--reference', 'out 2')).code).toBe(0);
  expect(await available(token)).toBe('42.00');
  expect((await cygnet('deposits', 'rate', '0.01')).json).toMatchObject([{ picoPerToken: '10000000000' }]);
  expect((await cygnet('deposits', 'rate', '0.02', '--from', '2020-01-01')).err).toContain('past');
  expect((await cygnet('deposits', 'list', id)).json).toMatchObject([{ id: 'bank:INV 1', state: 'booked' }]);
  expect((await cygnet('deposits', 'address', id)).json.address).toMatch(/^0x[0-9a-f]{40}$/);
  expect((await cygnet('deposits', 'sweep', '--to', `0x${'7a'.repeat(20)}`, '--dry-run')).json).toEqual([]);
  const { json: pending } = await cygnet('collateral', 'pending');
  const confirmed = await cygnet('collateral', 'confirm', pending[0].id, '--reference', 'pledge 1');
  expect(confirmed.json).toMatchObject({ answer: 'confirmed' });
  const provider = pending[0].providerId as string;
  expect((await cygnet('collateral', 'refund', provider, '--reference', 'r')).err).toContain('No refund');
  const slash = ['--finding', 'f1', '--failures', '2', '--reason', 'wrong answers'];
  expect((await cygnet('collateral', 'slash', provider, ...slash)).json).toMatchObject({
    shareBasisPoints: 1_000,
  });
  await soon(async () => {
    const { json } = await cygnet('collateral', 'show', provider);
    expect(json.pledges).toMatchObject([
      { asset: 'USDC', locked: '18000000', slashed: '2000000' },
      { asset: 'USD', locked: '18000000000000', slashed: '2000000000000' },
    ]);
  });
  expect((await cygnet('deposits', 'confirm', id, '-5', '--reference', 'x')).code).not.toBe(0);
}, 120_000);
