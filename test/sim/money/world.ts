import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { encodeFunctionData } from 'viem';
import { providerCollateralAbi } from '#chain/artifacts.ts';
import { reasonOf } from '#chain/collateral.ts';
import { AddressTree, depositKeyFrom, xpubOf } from '#chain/derived-address.ts';
import { claimIntent, revokeIntent } from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { sendIntent } from '#chain/transfers.ts';
import type { Database } from '#db/database.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { dayOf } from '#domain/window.ts';
import { DepositAddresses } from '#funds/deposit-addresses.ts';
import { setRate } from '#funds/rates.ts';
import { createConsumer } from '#identity/consumers.ts';
import { createProvider } from '#identity/providers.ts';
import { Fault } from '#kit/fault.ts';
import { type IdMaker, idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { Sealed } from '#kit/sealed.ts';
import { Book } from '#ledger/book.ts';
import { Leases } from '#ledger/leases.ts';
import { auditMarket } from '#settlement/audit.ts';
import { ClaimsDesk } from '#settlement/claims-desk.ts';
import { SettlementStore } from '#settlement/store.ts';
import { MemoryChain } from '#support/memory-chain.ts';
import { balanceIn } from '#support/memory-contracts.ts';
import { usageOf } from '#support/records.ts';
import { trustWallet } from '#support/settlement.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Chance } from '../chance.ts';
import { ProcessClock } from '../market/process-clock.ts';
import { Court } from '../oracles/court.ts';
import { Trace } from '../trace.ts';
import { drawMoneyFaults, type MoneyFault, type MoneySabotage } from './faults.ts';
import { CLOCK_WRONG_MS_MAX, MoneyInOutOracle } from './oracle.ts';
import { CONFIRMATIONS, type MoneyPlaces, type MoneyRooms, openRooms } from './process.ts';
import { type Actor, type Passage, Turnstile } from './turnstile.ts';

export interface MoneyWorldOptions {
  readonly seed: number;
  /** Steps before the world calms down: calls let through, and events. */
  readonly steps: number;
  readonly sabotage?: MoneySabotage | undefined;
  /** An empty database with the whole schema, the world's own. */
  readonly database: Database;
  /** Hears every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const KEY = depositKeyFrom(Buffer.alloc(32, 5));
const TREE = new AddressTree(xpubOf(KEY));

/** What goes wrong in a world that is broken on purpose: enough that each break shows. */
const SABOTAGED: Readonly<Partial<Record<MoneyFault, number>>> = {
  'chain-reorganised': 0.02,
  'chain-congested': 0.02,
  'refund-races-slash': 0.03,
  'rate-changes': 0.03,
};

/** Work of a process, and of the operator's own commands. */
type Task = 'settles' | 'reads the chain' | 'serves the desk';

interface Working extends Actor {
  readonly task: Task;
  readonly life: Life;
  readonly rooms: MoneyRooms;
}

/** One life of a process. */
interface Life {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly actors: Working[];
}

interface Payment {
  readonly provider: string;
  readonly amount: bigint;
  readonly reference: string;
  id: string | undefined;
  done: boolean;
}

interface Finding {
  readonly id: string;
  readonly provider: string;
  readonly failures: number;
  answered: boolean;
}

/**
 * Money in and out in one seed: two processes that settle, read the chain and keep pledges, an operator at the same
 * commands, providers and consumers with wallets, a chain, and everything that goes wrong between them. The rooms and the
 * database are real; the chain is in memory; and everything that a process asks of either is let through one at a time.
 *
 *     busy ── so many steps ──▶ calm: faults off, a last day is settled, everybody claims ──▶ does all of it add up?
 */
export class MoneyWorld {
  readonly clock = new VirtualClock();
  readonly trace: Trace;
  readonly court: Court;
  readonly faultCounts = new Map<string, number>();
  readonly counts = { batches: 0, revoked: 0, earnings: 0, claims: 0, deposits: 0, findings: 0, lives: 0 };
  steps = 0;
  readonly #options: MoneyWorldOptions;
  readonly #database: Database;
  readonly #chance: Chance;
  readonly #turnstile = new Turnstile();
  readonly #rates: Readonly<Partial<Record<MoneyFault, number>>>;
  readonly #chain: MemoryChain;
  readonly #places: MoneyPlaces;
  readonly #oracle: MoneyInOutOracle;
  readonly #ids: IdMaker;
  readonly #swan: Address;
  readonly #guardian: Address;
  readonly #folder: string;
  readonly #wallets: ReadonlyMap<string, Address | undefined>;
  readonly #owners: ReadonlyMap<string, Address>;
  readonly #consumers: readonly string[];
  readonly #addresses = new Map<Address, string>();
  readonly #lives = new Map<string, Life>();
  readonly #offsets = new Map<string, number>();
  readonly #payments: Payment[] = [];
  readonly #findings: Finding[] = [];
  readonly #serving: { book: Book; leases: Leases };
  #calm = false;
  #made = 0;
  #laggedUntil = 0;

  constructor(options: MoneyWorldOptions) {
    const { seed, sabotage, database } = options;
    this.#options = options;
    this.#database = database;
    this.trace = new Trace(options.print);
    this.court = new Court(seed, this.trace, () => this.clock.nowMs());
    this.#chance = new Chance(seed).stream('money');
    this.#rates = sabotage ? SABOTAGED : drawMoneyFaults(this.#chance.stream('faults'));
    const random = this.#chance.stream('keys').source;
    const address = (): Address => `0x${random.bytes(20).toString('hex')}`;
    const operatorKey = new Sealed<Hex>(`0x${random.bytes(32).toString('hex')}`);
    const [distributor, collateral, usdc] = [address(), address(), address()];
    this.#swan = address();
    this.#guardian = address();
    this.#folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-money-world-'));
    this.#ids = idMaker(this.clock, random);
    this.#chain = new MemoryChain({
      id: 900_000 + seed,
      distributor,
      token: usdc,
      tokens: new Map([[this.#swan, 18]]),
      collateral,
      operator: addressOf(operatorKey),
      guardian: this.#guardian,
      holdings: 10n ** 15n,
      time: BigInt(Math.floor(this.clock.wallMs() / 1_000)),
    });
    this.#chain.contracts.fundingUnchecked = sabotage === 'promises-what-is-not-funded';
    const shared = address();
    this.#wallets = new Map([
      ['prov_0', address()],
      ['prov_1', address()],
      // Two providers of one owner, and one that named no wallet.
      ['prov_2', shared],
      ['prov_3', shared],
      ['prov_4', undefined],
    ]);
    this.#owners = new Map(['prov_0', 'prov_1', 'prov_2'].map((id) => [id, address()]));
    this.#consumers = ['con_0', 'con_1', 'con_2'];
    const assets: ChainAsset[] = [
      { asset: 'USDC', token: usdc, decimals: 6 },
      { asset: 'SWAN', token: this.#swan, decimals: 18 },
    ];
    this.#places = {
      database,
      chain: this.#chain,
      turnstile: this.#turnstile,
      distributor,
      collateral,
      assets,
      operatorKey,
      folder: this.#folder,
      ids: this.#ids,
      log: silentLog,
      sabotage,
    };
    this.#oracle = new MoneyInOutOracle({
      court: this.court,
      database,
      chain: this.#chain,
      nowMs: () => this.clock.nowMs(),
      wallets: this.#wallets,
    });
    const { clock } = this;
    this.#serving = {
      book: new Book({ database, instance: 'serving', clock, log: silentLog }),
      leases: new Leases({ database, instance: 'serving', makeId: this.#ids }),
    };
  }

  /** Lives it through, to its end or its first violation. */
  async live(): Promise<void> {
    try {
      await this.#prepare();
      while (this.steps < this.#options.steps && this.#kept) await this.#step();
      if (this.#kept) await this.#calmDown();
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  get #kept(): boolean {
    return this.court.violations.length === 0;
  }

  async #prepare(): Promise<void> {
    const at = this.clock.wallMs();
    for (const [id, wallet] of this.#wallets) {
      await createProvider(this.#database, { id, name: id, state: 'active', at });
      const owner = this.#owners.get(id);
      const about = { providerId: id, at: 0 };
      if (owner) await trustWallet(this.#database, { ...about, purpose: 'owner', address: owner });
      if (wallet) await trustWallet(this.#database, { ...about, purpose: 'beneficiary', address: wallet });
    }
    const addresses = new DepositAddresses({ database: this.#database, tree: TREE, clock: this.clock });
    for (const id of this.#consumers) {
      await createConsumer(this.#database, { id, name: id, at });
      await this.#serving.book.grant(id, parseUsd('1000000'), `grant_${id}`);
      const address = await addresses.of(id);
      this.#addresses.set(address, id);
    }
    for (const owner of this.#owners.values()) {
      this.#chain.give(this.#swan, owner, 10n ** 24n);
      this.#chain.give(this.#places.assets[0]?.token as Address, owner, 10n ** 12n);
    }
    await this.#setRate();
    this.#chain.mine(CONFIRMATIONS);
    for (const name of ['A', 'B', 'hand']) this.#start(name);
  }

  // --- steps -----------------------------------------------------------------------------------------------------------

  async #step(): Promise<void> {
    this.steps += 1;
    this.court.step = this.steps;
    await this.#turnstile.parked(() => this.#actors());
    const { waiting } = this.#turnstile;
    if (waiting.length > 0 && this.#chance.yes(0.85)) await this.#letThrough(this.#chance.one(waiting));
    else await this.#event();
    if (this.#laggedUntil !== 0 && this.steps > this.#laggedUntil) {
      this.#chain.lag = 0;
      this.#chain.congested = false;
      this.#chain.baseFee = 1_000n;
      this.#laggedUntil = 0;
    }
  }

  *#actors(): Iterable<Actor> {
    for (const life of this.#lives.values()) yield* life.actors;
  }

  async #letThrough(passage: Passage): Promise<void> {
    const { what, resolve, reject } = passage;
    const actor = passage.actor as Working;
    this.#turnstile.take(passage);
    if (this.#strikes('killed-before-a-step')) return this.#kill(actor.life, `before ${what}`);
    const writes = what === 'commit';
    if (writes || what === 'database') {
      if (this.#strikes('database-refuses'))
        return reject(new Fault('database-unreachable', { inner: 'simulated' }));
    } else if (what === 'broadcast') {
      if (this.#strikes('sending-lost')) return resolve([]);
    } else if (what === 'receipt' && this.#strikes('receipt-lost')) {
      return resolve(undefined);
    } else if (this.#strikes('chain-away')) {
      return reject(new Fault('chain-unreachable', { inner: 'simulated' }));
    }
    let answer: { value: unknown } | { error: unknown };
    try {
      answer = { value: await passage.run() };
      if (what === 'broadcast' && this.#strikes('sending-twice')) await passage.run();
      if (what === 'broadcast' && this.#strikes('sending-unheard')) answer = { value: ['timed out'] };
    } catch (error) {
      answer = { error: asOfANode(error) };
    }
    if (writes) {
      this.#note(actor.name, `${actor.task}: commit`);
      await this.#afterCommit();
    }
    if (this.#strikes('killed-after-a-step')) return this.#kill(actor.life, `after ${what}`);
    if (writes && this.#strikes('database-answer-unheard'))
      return reject(new Fault('database-unreachable', { inner: 'the answer was lost' }));
    if ('value' in answer) resolve(answer.value);
    else reject(answer.error);
  }

  async #afterCommit(): Promise<void> {
    const before = this.#oracle.newest;
    await this.#oracle.committed();
    const { newest } = this.#oracle;
    if (newest === before) return;
    this.counts.batches += 1;
    this.#note('world', `batch ${newest}`);
    if (this.#options.sabotage === 'posts-a-payout-twice') await this.#spoilLedger();
  }

  // --- what happens ----------------------------------------------------------------------------------------------------

  async #event(): Promise<void> {
    if (await this.#worldStrikes()) return;
    const life = this.#lives.get(this.#chance.one(['A', 'A', 'B'])) as Life;
    switch (
      this.#chance.weighted({
        settles: 12,
        reads: 10,
        mines: 16,
        time: 7,
        earns: 9,
        claims: 4,
        deposits: 4,
        pledges: 4,
        asks: 3,
        cancels: 1,
        leaves: 4,
        pays: 4,
        paysBack: 4,
        finds: 4,
      })
    ) {
      case 'settles':
        return this.#begin(life, 'settles', ({ settler }) => settler.round());
      case 'reads':
        return this.#begin(life, 'reads the chain', async ({ collateral, deposits }) => {
          await deposits.round();
          await collateral.round();
        });
      case 'mines':
        return this.#mine(this.#chance.whole(1, 6));
      case 'time':
        return await this.#pass(this.#chance.one([60_000, HOUR_MS, 6 * HOUR_MS, DAY_MS]));
      case 'earns':
        return await this.#earn();
      case 'claims':
        return await this.#claim();
      case 'deposits':
        return this.#deposit();
      case 'pledges':
        return this.#onPledge('deposit');
      case 'asks':
        return this.#chance.yes(0.5) ? this.#onPledge('requestRefund') : this.#askDollars(life);
      case 'cancels':
        return this.#onPledge('cancelRefund');
      case 'leaves':
        return this.#onPledge('refund');
      case 'pays':
        return this.#payDollars(life);
      case 'paysBack':
        return this.#payBack(life);
      default:
        return this.#find(life);
    }
  }

  /** A fault of the surroundings, if one strikes now. */
  async #worldStrikes(): Promise<boolean> {
    const chance = this.#chance;
    const life = this.#lives.get(chance.one(['A', 'B', 'hand'])) as Life;
    if (this.#strikes('process-killed')) {
      this.#kill(life, 'by somebody');
    } else if (this.#strikes('chain-reorganised')) {
      const depth = chance.whole(1, CONFIRMATIONS - 1);
      const returning = chance.one([0, 0.5, 1]);
      this.#note('chain', `loses ${depth} blocks`);
      this.#chain.reorganise(depth, () => chance.yes(returning));
      this.#oracle.blockCame();
    } else if (this.#strikes('chain-lags')) {
      this.#chain.lag = chance.whole(1, 6);
      this.#laggedUntil = this.steps + chance.whole(20, 200);
    } else if (this.#strikes('chain-congested')) {
      this.#chain.congested = true;
      this.#laggedUntil = this.steps + chance.whole(20, 200);
    } else if (this.#strikes('gas-dear')) {
      this.#chain.baseFee = 10n ** BigInt(chance.whole(4, 6));
      this.#laggedUntil = this.steps + chance.whole(20, 200);
    } else if (this.#strikes('wall-clock-jumps')) {
      const offset = (this.#offsets.get(life.name) ?? 0) + chance.one([-DAY_MS, -HOUR_MS, HOUR_MS, DAY_MS]);
      if (Math.abs(offset) <= CLOCK_WRONG_MS_MAX) this.#offsets.set(life.name, offset);
    } else if (this.#strikes('settled-by-hand')) {
      const day = dayOf(this.clock.wallMs()) - chance.whole(0, 1);
      this.#begin(this.#lives.get('hand') as Life, 'settles', ({ settler }) => settler.settle(day));
    } else if (this.#strikes('batch-revoked')) {
      const { number } = this.#chain.state().pending;
      const place = { distributor: this.#places.distributor, token: this.#chain.contracts.places.token };
      const { to, data } = revokeIntent(place, Number(number));
      this.#chain.act({ from: this.#guardian, to: to as Address, data });
    } else if (this.#strikes('refund-races-slash')) {
      this.#onPledge('requestRefund');
      this.#askDollars(life);
      this.#find(life);
      this.#onPledge('refund');
    } else if (this.#strikes('rate-changes')) {
      await this.#setRate();
    } else {
      return false;
    }
    return true;
  }

  #strikes(fault: MoneyFault): boolean {
    const rate = this.#rates[fault];
    if (this.#calm || rate === undefined || !this.#chance.yes(rate)) return false;
    this.faultCounts.set(fault, (this.faultCounts.get(fault) ?? 0) + 1);
    this.#note('world', fault);
    return true;
  }

  #mine(blocks: number): void {
    for (let n = 0; n < blocks; n++) {
      this.#chain.mine();
      this.#oracle.blockCame();
    }
    this.#note('chain', `has ${this.#chain.state().block.number} blocks, ${this.#chain.state().block.hash}`);
  }

  async #pass(byMs: number): Promise<void> {
    await this.clock.advance(byMs);
    this.#chain.pass(byMs / 1_000);
    this.#oracle.blockCame();
    this.#note('world', `passes ${byMs} ms`);
  }

  async #earn(): Promise<void> {
    const provider = this.#chance.one([...this.#wallets.keys()]);
    const consumer = this.#chance.one(this.#consumers);
    const gross = BigInt(this.#chance.whole(1, 150_000_000)) * 1_000_003n;
    const id = `req_${++this.#made}`;
    const { book, leases } = this.#serving;
    await leases.grow(consumer, { atLeast: gross, want: gross });
    await book.post([
      usageOf({ id, at: this.clock.wallMs(), consumerId: consumer, providerId: provider, charge: gross }),
    ]);
    const [posted] = await this.#database.sql<{ seq: bigint; amount: bigint }[]>`
      select seq, amount from postings where id = ${`charge:${id}`} and account = ${`provider:${provider}`}`;
    this.#oracle.earned(provider, gross, posted ?? { seq: 0n, amount: 0n });
    this.counts.earnings += 1;
    this.#note('world', `${provider} earns of ${gross}`);
  }

  /** A wallet claims what the newest batch that it knows of gives it. */
  async #claim(): Promise<void> {
    const { distributor } = this.#places;
    const { token } = this.#chain.contracts.places;
    const store = new SettlementStore(this.#database, {
      chainId: this.#chain.id,
      contract: distributor,
      token,
    });
    const settlement = await store.last();
    const wallets = [...new Set(this.#wallets.values())].filter((wallet) => wallet !== undefined);
    const account = this.#chance.one(wallets);
    if (!settlement) return;
    const desk = new ClaimsDesk({ store, folder: this.#folder });
    const proof = await desk.proofOf(settlement, account);
    if (!proof) return;
    const { to, data } = claimIntent({ distributor, token }, proof);
    this.#chain.act({ from: account, to: to as Address, data });
    this.counts.claims += 1;
    this.#note('world', `${account} claims ${proof.cumulative}`);
  }

  #deposit(): void {
    const address = this.#chance.one([...this.#addresses.keys()]);
    const owner = this.#chance.one([...this.#owners.values()]);
    const { asset, token } = this.#chance.one(this.#places.assets);
    const units = BigInt(this.#chance.whole(1, 9_000_000)) * (asset === 'SWAN' ? 10n ** 14n : 1n);
    const { to, data } = sendIntent('', { token, to: address, units });
    this.#chain.act({ from: owner, to: to as Address, data });
    this.counts.deposits += 1;
    this.#note('world', `${units} ${asset} are sent to ${address}`);
  }

  #onPledge(functionName: 'deposit' | 'requestRefund' | 'cancelRefund' | 'refund'): void {
    const from = this.#chance.one([...this.#owners.values()]);
    const { asset, token } = this.#chance.one(this.#places.assets);
    const amount = BigInt(this.#chance.whole(1, 400)) * (asset === 'SWAN' ? 10n ** 18n : 10n ** 6n);
    const { locked } = this.#chain.contracts.pledgeOf(this.#chain.state(), token, from);
    const asked = amount < locked || functionName === 'deposit' ? amount : locked;
    const abi = providerCollateralAbi;
    const data =
      functionName === 'cancelRefund' || functionName === 'refund'
        ? encodeFunctionData({ abi, functionName, args: [token] })
        : encodeFunctionData({ abi, functionName, args: [token, asked] });
    this.#chain.act({ from, to: this.#places.collateral, data });
    this.#note('world', `${from} ${functionName} ${asset} ${asked}`);
  }

  #payDollars(life: Life): void {
    const open = this.#payments.find(({ done }) => !done || this.#strikes('payment-repeated'));
    const payment = open ?? {
      provider: this.#chance.one([...this.#wallets.keys()]),
      amount: BigInt(this.#chance.whole(1, 500)) * 10n ** 12n,
      reference: `bank ${++this.#made}`,
      id: undefined,
      done: false,
    };
    if (!open) this.#payments.push(payment);
    this.#begin(life, 'serves the desk', async ({ collateral }) => {
      const { provider, amount, reference } = payment;
      payment.id ??= (await collateral.announceDollars(provider, amount)).id;
      await collateral.confirmDollars(payment.id, { reference });
      payment.done = true;
    });
  }

  #askDollars(life: Life): void {
    const provider = this.#chance.one([...this.#wallets.keys()]);
    this.#begin(life, 'serves the desk', ({ collateral }) => collateral.requestRefund(provider));
  }

  #payBack(life: Life): void {
    const provider = this.#chance.one([...this.#wallets.keys()]);
    const reference = `back ${provider} ${this.#chance.yes(0.3) ? 'again' : ++this.#made}`;
    this.#begin(life, 'serves the desk', ({ collateral }) => collateral.payRefund(provider, reference));
  }

  #find(life: Life): void {
    const open = this.#findings.find(({ answered }) => !answered || this.#strikes('finding-repeated'));
    const finding = open ?? {
      id: `finding ${++this.#made}`,
      provider: this.#chance.one([...this.#wallets.keys()]),
      failures: this.#chance.whole(1, 3),
      answered: false,
    };
    if (!open) {
      this.#findings.push(finding);
      this.#oracle.madeFindings.add(finding.id);
      this.counts.findings += 1;
    }
    const { id, provider, failures } = finding;
    this.#begin(life, 'serves the desk', async ({ collateral }) => {
      const pledged = await this.#tokensPledged(provider);
      await collateral.slash({ id, providerId: provider, failures, reason: 'It answered wrongly.' });
      if (this.#options.sabotage === 'slashes-a-finding-twice')
        await collateral.slash({
          id: `${id} again`,
          providerId: provider,
          failures,
          reason: 'It answered wrongly.',
        });
      if (!finding.answered) await this.#expectSlash(finding, pledged);
      finding.answered = true;
    });
  }

  /** Which tokens the ledger knows to be pledged. */
  async #tokensPledged(provider: string): Promise<Address[]> {
    const owner = this.#owners.get(provider);
    if (owner === undefined) return [];
    const rows = await this.#database.sql<{ scope: string }[]>`
      select scope from collateral_pledges where holder = ${owner} and scope <> 'usd' and locked + waiting > 0`;
    return rows.map(({ scope }) => scope.slice(scope.lastIndexOf(':') + 1) as Address);
  }

  /** For each token that was pledged when a finding was judged, and still is, a slash is stored and will happen. */
  async #expectSlash({ id, provider }: Finding, before: readonly Address[]): Promise<void> {
    const after = await this.#tokensPledged(provider);
    const { sql } = this.#database;
    const [row] = await sql<{ share_bps: number }[]>`
      select share_bps from collateral_findings where id = ${id}`;
    if ((row?.share_bps ?? 0) === 0) return;
    for (const token of before) {
      if (!after.includes(token)) continue;
      const intent = `slash:${this.#places.collateral}:${reasonOf(`${id}:${token}`)}`;
      const [sent] = await sql`select from transactions where id = ${intent}`;
      if (!sent)
        this.court.report(
          'I11',
          `${id} was answered, and nothing was sent to slash what ${provider} pledged.`,
        );
    }
  }

  async #setRate(): Promise<void> {
    const effectiveAt = Number(this.#chain.state().block.timestamp) * 1_000 + 1;
    const picoPerToken = BigInt(this.#chance.whole(1, 100)) * 10n ** 9n;
    const set = await setRate(this.#database, { picoPerToken, effectiveAt, at: this.clock.wallMs() });
    if (set !== 'set') return;
    this.#oracle.rates.push({ effectiveAt, picoPerToken });
    this.#oracle.rates.sort((a, b) => a.effectiveAt - b.effectiveAt);
    this.#note('world', `SWAN is worth ${picoPerToken}`);
  }

  async #spoilLedger(): Promise<void> {
    await this.#database.sql`
      insert into entries (id, kind, at, accounts, amounts, memo)
      select id || ' again', kind, at, accounts, amounts, memo from entries where kind = 'payout' order by seq desc limit 1`;
    await this.#database.sql`
      update accounts a set balance = a.balance + t.amount
      from (select account, amount from postings where id like '% again' order by seq desc limit 2) t where a.id = t.account`;
  }

  // --- processes -------------------------------------------------------------------------------------------------------

  #start(name: string): Life {
    const life: Life = {
      name,
      clock: new ProcessClock(this.clock, () => this.#offsets.get(name) ?? 0),
      actors: [],
    };
    this.#lives.set(name, life);
    this.counts.lives += 1;
    return life;
  }

  /** Everything in memory is gone, and a new life begins. */
  #kill(life: Life, when: string): void {
    if (this.#lives.get(life.name) !== life) return;
    this.#note(life.name, `is killed ${when}`);
    life.clock.kill();
    for (const actor of life.actors) actor.dead = true;
    this.#turnstile.forget((actor) => actor.dead);
    this.#start(life.name);
  }

  /** Sets a process to work, unless it is at this kind of work already. */
  #begin(life: Life, task: Task, work: (rooms: MoneyRooms) => Promise<unknown>): void {
    let actor = life.actors.find((one) => one.task === task);
    if (!actor) {
      const fresh = { name: life.name, task, life, dead: false, busy: false };
      actor = Object.assign(fresh, { rooms: openRooms(this.#places, fresh, life.clock) });
      life.actors.push(actor);
    }
    if (actor.busy) return;
    const present = actor;
    present.busy = true;
    const expected = this.#calm ? CALM_FAULTS : BUSY_FAULTS;
    this.#note(life.name, `begins: ${task}`);
    void work(present.rooms)
      .then(
        () => this.#note(life.name, `done: ${task}`),
        (error: unknown) => this.#failed(life, task, error, expected),
      )
      .finally(() => {
        present.busy = false;
      });
  }

  #failed(life: Life, task: Task, error: unknown, expected: ReadonlySet<string>): void {
    const code = error instanceof Fault ? error.code : 'none';
    this.#note(life.name, `fails: ${task}: ${code}`);
    if (!expected.has(code))
      this.court.report('bug', `${life.name} ${task}: ${textOf(error)}`, [life.name, 'world', 'chain']);
  }

  // --- the end ---------------------------------------------------------------------------------------------------------

  async #calmDown(): Promise<void> {
    await this.#turnstile.parked(() => this.#actors());
    this.#calm = true;
    this.#note('world', 'calms down');
    Object.assign(this.#chain, { lag: 0, congested: false, baseFee: 1_000n });
    for (const name of this.#lives.keys()) this.#offsets.set(name, 0);
    // What was under way is seen through; then two more midnights, so that every day is over.
    for (const nights of [0, 1, 1]) {
      if (nights > 0) await this.#pass(DAY_MS + CLOCK_WRONG_MS_MAX);
      if (!(await this.#settleAll())) return;
    }
    for (let n = 0; n < 40; n++) await this.#claim();
    this.#mine(CONFIRMATIONS + 1);
    if (!(await this.#settleAll())) return;
    await this.#oracle.end({ usdcAtFirst: () => 0n, addresses: this.#addresses });
    await this.#audit();
    this.counts.revoked = (await this.#database.sql`select from settlements where state = 'revoked'`).length;
    this.#note('world', 'ends');
  }

  /** Rounds of both processes until nothing is left to do. */
  async #settleAll(): Promise<boolean> {
    const life = this.#lives.get('A') as Life;
    let step: string | undefined;
    for (let n = 0; n < 40 && this.#kept; n++) {
      const before = this.#oracle.newest;
      step = undefined;
      this.#begin(life, 'settles', async ({ settler }) => {
        step = (await settler.round()).step;
      });
      this.#begin(life, 'reads the chain', async ({ collateral, deposits }) => {
        await deposits.round();
        await collateral.round();
      });
      if (this.#findings.some(({ answered }) => !answered)) this.#find(life);
      while (this.#kept && [...this.#actors()].some(({ busy, dead }) => busy && !dead)) {
        await this.#turnstile.parked(() => this.#actors());
        const [first] = this.#turnstile.waiting;
        this.steps += 1;
        if (first) await this.#letThrough(first);
      }
      const { state } = (
        await this.#database.sql<
          { state: string }[]
        >`select state from settlements order by number desc limit 1`
      )[0] ?? { state: '' };
      if (step === 'settled' && this.#oracle.newest === before && state !== 'pending' && n > 1)
        return this.#kept;
      this.#mine(CONFIRMATIONS);
      await this.#pass(120_000);
    }
    if (this.#kept) this.court.report('liveness', `Settlement does not come to an end: ${step}.`);
    return false;
  }

  async #audit(): Promise<void> {
    const { token } = this.#chain.contracts.places;
    const store = new SettlementStore(this.#database, {
      chainId: this.#chain.id,
      contract: this.#places.distributor,
      token,
    });
    const report = await auditMarket({
      database: this.#database,
      store,
      // Without SWAN among its assets: rewards are not part of this world.
      chain: { chain: this.#chain, firstBlock: 0n, assets: [] } as unknown as MarketChain,
      desk: new ClaimsDesk({ store, folder: this.#folder }),
    });
    for (const { what, where, found, expected } of report.differences)
      this.court.report('I10', `The audit: ${what} ${where}: ${found}, expected ${expected}.`);
    const held = balanceIn(this.#chain.state(), token, this.#places.distributor);
    this.#note('world', `the contract is left with ${held}`);
  }

  #note(subject: string, what: string): void {
    this.trace.note(this.clock.nowMs(), subject, what);
  }
}

/** What a node says where a block that was asked for is gone. */
function asOfANode(error: unknown): unknown {
  if (error instanceof Error && /has no block/.test(error.message))
    return new Fault('chain-disagrees', { inner: error.message });
  return error;
}

/** What may come out of a round while things go wrong: each is tried again. */
const BUSY_FAULTS: ReadonlySet<string> = new Set([
  'database-unreachable',
  'chain-unreachable',
  'chain-disagrees',
  'chain-reorganised',
  'chain-reverted',
  'settlement-busy',
  'conflict',
]);
const CALM_FAULTS: ReadonlySet<string> = new Set(['chain-reverted']);

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message}\n${error.stack?.split('\n').slice(1, 6).join('\n')}`;
}
