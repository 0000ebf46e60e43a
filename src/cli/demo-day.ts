import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Agent, request } from 'undici';
import { type RunningAgent, runAgent } from '#agent/run.ts';
import { parseModel } from '#agent/settings.ts';
import { Sender } from '#chain/client.ts';
import { announcedBatch, tokenBalance } from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import { type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { sendIntent } from '#chain/transfers.ts';
import { readConfig } from '#config/config.ts';
import { type Database, openDatabase } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { auditFunds } from '#funds/audit.ts';
import { Deposits } from '#funds/deposits.ts';
import { consumersNamed } from '#identity/consumers.ts';
import { keepKey, makeKey } from '#identity/keys.ts';
import { createProvider } from '#identity/providers.ts';
import { type Clock, pause, systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { type IdMaker, idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { auditMarket } from '#settlement/audit.ts';
import type { Settler } from '#settlement/day.ts';
import { openSettlement } from '#settlement/open.ts';
import { verifyClaims } from '#settlement/verify.ts';
import { claimFor } from './claim.ts';
import { demoInvoices } from './demo-invoice.ts';
import { openStore } from './session.ts';
import { tokens } from './settlements.ts';
import { proveWallet } from './wallet.ts';

/**
 * One day of a market's money, with everything real but the models: a consumer signs up, asks for its address and sends
 * tokens there, the market sees them on its chain and credits them, rehearsing agents answer the consumer's requests, midnight comes, the
 * day is settled on the local chain, wallets claim, and every figure is compared. Midnight comes by handing settlement a
 * clock that is a day ahead, the time lock ends by moving the chain's own time.
 */
export interface DayFigures {
  readonly requests: number;
  readonly answered: number;
  readonly deposited: Pico;
  readonly charged: Pico;
  /** What providers earned, what was paid out of it, and what is still owed: below a unit of the token. */
  readonly earned: Pico;
  readonly paidOut: Pico;
  readonly owed: Pico;
  /** In the token's smallest unit: in the wallets, and in the batch. */
  readonly claimed: bigint;
  readonly promised: bigint;
  readonly root: Hex;
  /** What does not add up, in sentences. Empty when everything does. */
  readonly problems: readonly string[];
}

const PROVIDERS = 2;
const AT_ONCE = 16;
const DEPOSIT: Pico = parseUsd('25');
const DAY_MS = 86_400_000;
const ROUNDS_MAX = 200;
const TOKEN_UNIT: Pico = 1_000_000n;
/** The market looks at its chain every five seconds. */
const CREDIT_WAIT_MS = 60_000;
const LOOK_MS = 100;

export async function demoDay(options: {
  requests: number;
  say: (sentence: string) => void;
  /** Default: an embedded database below the day's own folder. Empty but for the schema. */
  databaseUrl?: string;
}): Promise<DayFigures> {
  const { say } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-day-'));
  const clock = systemClock;
  const random = systemRandomness;
  const closing: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const rate = 1_000_000;
    const config = readConfig(
      {},
      {
        dataFolder: folder,
        ...(options.databaseUrl !== undefined && { databaseUrl: new Sealed(options.databaseUrl) }),
        gatewayPort: 0,
        hubPort: 0,
        // Every row of this day is a consumer's.
        benchmarks: { mode: 'off' },
        limits: { requestsPerMinute: { llm: rate, image: rate, embedding: rate, other: rate } },
        money: { payoutMinimum: parseUsd('0.0001') },
        // Every request of the day is one that the audit can name.
        watch: { probes: false },
      },
    );
    say('Opening a market with nothing in it: database, local chain, gateway, hub.');
    const store = await openStore({ config, clock, log: silentLog });
    closing.push(async () => {
      await store.close();
      if (store.embedded) rmSync(store.embedded.folder, { recursive: true, force: true });
    });
    const chain = await openMarketChain(config.chain, { dataFolder: folder, clock, random });
    closing.push(() => chain.close('stop'));
    const databaseUrl = store.url.open();
    const parties = await makeParties(store.database, chain.demoWallets, idMaker(clock, random));
    const market = await openMarketplace({
      config,
      database: store.database,
      databaseUrl,
      chain,
      clock,
      random,
      log: silentLog,
    });
    closing.push(() => market.close(5_000));
    const url = `http://127.0.0.1:${market.gatewayPort}`;
    const consumer = await signUp(url, store.database);
    const deposited = await deposit({ chain, wallet: parties.consumerWallet, ...consumer.pays });
    say(`A consumer sends ${tokens(deposited.units, deposited.decimals)} USDC to ${deposited.address}.`);
    await credited(store.database, consumer.id);
    say(
      `The chain has them deep enough: ${formatUsd(DEPOSIT)} are credited. ${PROVIDERS} providers connect.`,
    );
    const model = await dearestModel(store.database);
    for (const provider of parties.providers) {
      const agent = await rehearse(market, { ...provider, model, folder: path.join(folder, provider.id) });
      closing.push(() => agent.close());
      await agent.registered;
      await proveWallet({
        market: url,
        providerKey: provider.key,
        purpose: 'beneficiary',
        key: provider.wallet,
      });
    }
    const answered = await consume({ url, key: consumer.key, model, requests: options.requests });
    while (market.underWay().requests > 0 || market.underWay().unpostedBytes > 0) await pause(clock, 20);
    say(`${answered} of ${options.requests} requests were answered and charged.`);

    const database = openDatabase({ url: databaseUrl, log: silentLog, clock, maxConnections: 3 });
    closing.push(() => database.close());
    const sums = await sumsOf(database, consumer.id);
    // The market's own rounds settle too, on today's clock: they find nothing to do, or help.
    const tomorrow: Clock = { ...clock, wallMs: () => clock.wallMs() + DAY_MS };
    const {
      settler,
      store: settlements,
      desk,
    } = openSettlement({
      database,
      chain,
      minimum: config.money.payoutMinimum,
      dataFolder: folder,
      clock: tomorrow,
      log: silentLog,
    });
    if (!settler) throw new Fault('internal', { inner: 'The local chain has no operator.' });
    say('Midnight: the day is cut and settled.');
    await inForce(settler, chain);
    const batch = await settlements.last();
    if (!batch) throw new Fault('internal', { inner: 'Nobody was due a payout.' });
    const place = { distributor: chain.distributor, token: chain.payoutToken.address };
    const file = await desk.fileOf(batch);
    const onChain = await announcedBatch(chain.chain, place, batch.number);
    const verdict = await verifyClaims(file, { ...(onChain && { onChain }) });
    say(
      `Batch ${batch.number} is in force with the root ${batch.root}; the verifier ${verdict.ok ? 'agrees' : 'DISAGREES'}.`,
    );

    const problems = verdict.findings.map((finding) => `The verifier: ${finding}`);
    if (!onChain) problems.push('The contract announced no such batch.');
    let claimed = 0n;
    for (const [i, { wallet }] of parties.providers.entries()) {
      const before = await tokenBalance(chain.chain, place.token, addressOf(wallet));
      const { maxFeePerGas } = chain;
      const { paid } = await claimFor({ market: url, chain: chain.chain, place, key: wallet, maxFeePerGas });
      const after = await tokenBalance(chain.chain, place.token, addressOf(wallet));
      const { promised } = await settlements.standingOf(addressOf(wallet));
      say(`Provider ${i + 1} claims: its wallet has ${tokens(after - before, batch.decimals)} more.`);
      if (after - before !== promised || paid !== promised) {
        problems.push(`Provider ${i + 1} has ${after - before} units more and was promised ${promised}.`);
      }
      claimed += after - before;
    }
    await settler.carryOn();
    const after = await sumsOf(database, consumer.id);
    const paidOut = sums.earned - after.owed;
    if (sums.earned + sums.kept !== sums.charged) problems.push('What was charged was not all shared out.');
    if (sums.left + sums.charged !== DEPOSIT)
      problems.push('The deposit is not what was charged and what is left.');
    const invoiced = await demoInvoices(database, config);
    say(`The month ends: ${invoiced.numbers.join(', ')} of ${formatUsd(invoiced.total)}.`);
    problems.push(...invoiced.problems);
    if (invoiced.total !== sums.charged) problems.push('The invoice is not what was charged.');
    if (claimed * TOKEN_UNIT !== paidOut) {
      problems.push(`${claimed} units are in wallets, and the ledger paid out ${paidOut} pico-dollars.`);
    }
    if (after.claimable !== 0n) problems.push(`${after.claimable} pico-dollars are still claimable.`);
    if (answered !== options.requests) problems.push('Not every request was answered.');
    const lying = await tokenBalance(chain.chain, place.token, deposited.address);
    if (lying !== deposited.units) {
      problems.push(`${lying} units lie at the deposit address, and ${deposited.units} were sent.`);
    }
    const funds = () => auditFunds({ database, chain });
    const audit = await auditMarket({ database, store: settlements, chain, desk, funds });
    if (audit.checkedDeposits !== 1)
      problems.push(`${audit.checkedDeposits} deposits are listed, and one was made.`);
    for (const { what, where } of audit.differences) problems.push(`The audit: ${what} (${where})`);
    return {
      requests: options.requests,
      answered,
      deposited: DEPOSIT,
      charged: sums.charged,
      earned: sums.earned,
      paidOut,
      owed: after.owed,
      claimed,
      promised: batch.total,
      root: batch.root,
      problems,
    };
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}

interface Parties {
  readonly consumerWallet: Sealed<Hex>;
  readonly providers: readonly { id: string; key: Sealed<string>; wallet: Sealed<Hex> }[];
}

async function makeParties(
  database: Database,
  wallets: readonly Sealed<Hex>[],
  makeId: IdMaker,
): Promise<Parties> {
  const clock = systemClock;
  const at = clock.wallMs();
  const kind = 'provider';
  const keyOf = async (ownerId: string): Promise<Sealed<string>> => {
    const { secret, prefix, hash } = makeKey(kind, systemRandomness);
    await keepKey(database, { id: makeId('key'), kind, ownerId, name: 'day', prefix, hash, at });
    return secret;
  };
  const [consumerWallet, ...others] = wallets;
  if (!consumerWallet) throw new Fault('internal', { inner: 'The local chain has no demo wallets.' });
  const providers = [];
  for (const wallet of others.slice(0, PROVIDERS)) {
    const id = makeId('prov');
    await createProvider(database, { id, name: id, state: 'active', at });
    providers.push({ id, wallet, key: await keyOf(id) });
  }
  return { consumerWallet, providers };
}

/** A consumer as it comes: an account, its first key, and where its money goes. */
async function signUp(
  market: string,
  database: Database,
): Promise<{
  id: string;
  key: Sealed<string>;
  pays: { address: Address; token: Address; decimals: number };
}> {
  const call = async <T>(place: string, headers: Record<string, string>, body?: object): Promise<T> => {
    const answer = await request(`${market}/api/v1${place}`, {
      method: body ? 'POST' : 'GET',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (answer.statusCode === 200) return (await answer.body.json()) as T;
    throw new Fault('internal', { inner: `${place} answered ${answer.statusCode}.` });
  };
  const signed = await call<{ token: string; api_key: string }>('/user/signup', {}, SIGN_UP);
  const ways = await call<{
    crypto: { address: Address; tokens: { symbol: string; address: Address; decimals: number }[] } | null;
  }>('/user/me/topup', { authorization: `Bearer ${signed.token}` });
  const usdc = ways.crypto?.tokens.find(({ symbol }) => symbol === 'USDC');
  const [consumer] = await consumersNamed(database, SIGN_UP.display_name);
  if (!ways.crypto || !usdc || !consumer) throw new Fault('internal', { inner: 'Nobody can deposit here.' });
  const pays = { address: ways.crypto.address, token: usdc.address, decimals: usdc.decimals };
  return { id: consumer.id, key: new Sealed(signed.api_key), pays };
}

const SIGN_UP = { email: 'day@example.org', password: 'a day that adds up', display_name: 'day' };

/** The consumer's wallet sends tokens to the consumer's address. */
async function deposit(about: {
  chain: MarketChain;
  wallet: Sealed<Hex>;
  address: Address;
  token: Address;
  decimals: number;
}): Promise<{ address: Address; units: bigint; decimals: number }> {
  const { chain, wallet, address, token, decimals } = about;
  const units = DEPOSIT / TOKEN_UNIT;
  const sender = new Sender({
    chain: chain.chain,
    store: new MemoryTransactionStore(),
    key: wallet,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: chain.maxFeePerGas, replaceAfterMs: 30_000 },
  });
  const { id } = await sender.send(sendIntent('deposit', { token, to: address, units }));
  const { status } = await sender.settled(id, 50, AbortSignal.timeout(CREDIT_WAIT_MS));
  if (status !== 'done') throw new Fault('internal', { inner: `The transfer was ${status}.` });
  return { address, units, decimals };
}

/** Waits until the open market has credited the deposit, as it does by itself. */
async function credited(database: Database, consumerId: string): Promise<void> {
  const deposits = new Deposits({ database, clock: systemClock });
  for (let waited = 0; waited < CREDIT_WAIT_MS; waited += LOOK_MS) {
    const [first] = await deposits.list({ consumerId, limit: 1 });
    if (first?.state === 'booked' && first.value === DEPOSIT) return;
    await pause(systemClock, LOOK_MS);
  }
  throw new Fault('internal', { inner: 'The deposit was not credited.' });
}

/** The language model whose answers cost most. */
async function dearestModel(database: Database): Promise<string> {
  const [row] = await database.sql<{ id: string }[]>`
    select m.id from models m join prices p on p.model_id = m.id
    where m.category = 'llm' order by p.output_pico desc, m.id limit 1`;
  if (!row) throw new Fault('internal', { inner: 'The catalogue has no language model.' });
  return row.id;
}

async function rehearse(
  market: Marketplace,
  about: { id: string; key: Sealed<string>; model: string; folder: string },
): Promise<RunningAgent> {
  const model = parseModel(`${about.model}=rehearsal:`, { sequences: 4, threads: 1, gpu: false });
  return await runAgent(
    {
      hubUrls: [`ws://127.0.0.1:${market.hubPort}`],
      tls: { ca: undefined, cert: undefined, key: undefined },
      key: about.key,
      folder: about.folder,
      name: about.id,
      models: [model],
      concurrency: AT_ONCE,
      drainMs: 1_000,
      serviceUrl: undefined,
      json: false,
      logLevel: 'silent',
    },
    {
      clock: systemClock,
      randomness: systemRandomness,
      log: silentLog,
      program: () => Promise.resolve(undefined),
      machine: { platform: process.platform, arch: process.arch },
      version: '0.0.0',
    },
  );
}

/** Sends the day's requests, some at once; how many were answered. */
async function consume(about: {
  url: string;
  key: Sealed<string>;
  model: string;
  requests: number;
}): Promise<number> {
  const connections = new Agent({ connections: AT_ONCE });
  let sent = 0;
  let answered = 0;
  const ask = async (): Promise<void> => {
    while (sent < about.requests) {
      const number = ++sent;
      const { statusCode, body } = await request(`${about.url}/v1/chat/completions`, {
        method: 'POST',
        dispatcher: connections,
        headers: { authorization: `Bearer ${about.key.open()}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: about.model,
          max_tokens: 64,
          messages: [{ role: 'user', content: `Question ${number} of a long day.` }],
        }),
      });
      await body.dump();
      if (statusCode === 200) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  await connections.close();
  return answered;
}

/** Rounds until the day's batch can be claimed; the chain's time passes where a time lock is waited for. */
async function inForce(settler: Settler, chain: MarketChain): Promise<void> {
  for (let n = 0; n < ROUNDS_MAX; n++) {
    const { step } = await settler.round();
    if (step === 'settled') return;
    if (step === 'locked') await chain.pass(61);
    else await pause(systemClock, 50);
  }
  throw new Fault('internal', { inner: 'The batch did not come into force.' });
}

interface Sums {
  readonly charged: Pico;
  readonly earned: Pico;
  /** The market's parts of the charges. */
  readonly kept: Pico;
  readonly left: Pico;
  readonly owed: Pico;
  readonly claimable: Pico;
}

async function sumsOf(database: Database, consumerId: string): Promise<Sums> {
  const [row] = await database.sql<Sums[]>`
    select
      coalesce(-sum(p.amount) filter (where p.account = ${`consumer:${consumerId}`} and p.kind in ('charge', 'correction')), 0) as charged,
      coalesce(sum(p.amount) filter (where p.account like 'provider:%' and p.kind in ('charge', 'correction')), 0) as earned,
      coalesce(sum(p.amount) filter (where p.account in ('platform:fee', 'platform:treasury', 'platform:burn')), 0) as kept,
      coalesce(sum(p.amount) filter (where p.account = ${`consumer:${consumerId}`}), 0) as left,
      coalesce(sum(p.amount) filter (where p.account like 'provider:%'), 0) as owed,
      coalesce(sum(p.amount) filter (where p.account = 'platform:claimable'), 0) as claimable
    from postings p`;
  if (!row) throw new Fault('internal', { inner: 'The ledger has nothing.' });
  return row;
}
