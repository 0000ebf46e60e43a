import { BenchmarkStore } from '#benchmark/store.ts';
import { judge } from '#benchmark/verdict.ts';
import { CatalogueView } from '#catalogue/models.ts';
import { priceHistory, setPrice } from '#catalogue/prices.ts';
import { Sender } from '#chain/client.ts';
import { batchInForce, claimedBy, claimIntent } from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { signText } from '#chain/wallet-signature.ts';
import { type Config, lifeTerms } from '#config/config.ts';
import type { Database } from '#db/database.ts';
import type { Hex } from '#domain/hex.ts';
import type { Model } from '#domain/model.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import type { Price } from '#domain/price.ts';
import { tierOfPlan } from '#domain/tier.ts';
import type { CorrectionRecord, UsageRecord } from '#domain/usage-record.ts';
import { dayOf } from '#domain/window.ts';
import { auditFunds } from '#funds/audit.ts';
import { Collateral } from '#funds/collateral.ts';
import { Deposits } from '#funds/deposits.ts';
import { PlanFees } from '#funds/plan-fees.ts';
import { slashLadder } from '#funds/slash.ts';
import { Wallets } from '#funds/wallets.ts';
import { Accounts, setOperator } from '#identity/accounts.ts';
import { KeyDesk } from '#identity/key-desk.ts';
import { bindNode } from '#identity/nodes.ts';
import { Passwords } from '#identity/passwords.ts';
import { setProviderState, setProviderTerms } from '#identity/providers.ts';
import { SecondFactors } from '#identity/second-factors.ts';
import { secretBox } from '#identity/secret-file.ts';
import { SessionBook } from '#identity/session-book.ts';
import { type Clock, pause, systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { type IdMaker, idMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { type Randomness, seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { Book } from '#ledger/book.ts';
import { Leases } from '#ledger/leases.ts';
import { AttemptTable } from '#reliability/attempts.ts';
import { IncidentBook } from '#reliability/incident-book.ts';
import { announce } from '#reliability/maintenance.ts';
import { MinuteBook } from '#reliability/minute-book.ts';
import { MinuteTable } from '#reliability/minute-table.ts';
import type { RefusedMinute } from '#reliability/refusals.ts';
import { notePresentMinutes } from '#rewards/presence.ts';
import { auditMarket, type MarketAuditReport } from '#settlement/audit.ts';
import { openSettlement, type SettlementRoom } from '#settlement/open.ts';
import { openStatements } from '#statements/open.ts';
import { errorRow } from '#wire/errors.ts';
import { DEMO_CONSUMERS, DEMO_PROVIDERS, type DemoConsumer, type DemoProvider } from './demo-cast.ts';
import {
  appeal,
  badMorning,
  closeAgreements,
  type DemoDeed,
  noteDeeds,
  payByCard,
  refuseAll,
  rewardDays,
} from './demo-office.ts';
import {
  type DemoDay,
  type DemoMarket,
  type DemoTrouble,
  demoDays,
  demoTraffic,
  isThere,
} from './demo-traffic.ts';

/**
 * Fills a market with a month that never was, so that every page has something to show. Nothing is written beside the
 * rooms: people sign up, pay, are charged through the ledger, providers are paid by batches on the chain, months are
 * closed, and at the end the audit of a real market must find nothing. Time is handed in: each step is done on a clock that
 * stands where the month is.
 *
 * The same seed at the same moment is the same month, but for ids and secrets, which are never made from a seed.
 */
export interface MonthParts {
  readonly config: Config;
  readonly database: Database;
  /** Where the month is settled; undefined: nothing is paid out. */
  readonly chain: MarketChain | undefined;
  /** The machine's: when the month ends. */
  readonly clock: Clock;
  readonly random: Randomness;
  readonly log: Logger;
  readonly seed: number;
  readonly password: Sealed<string>;
  readonly days?: number;
  /** Requests of an average day. */
  readonly requests?: number;
  readonly say: (sentence: string) => void;
}

export interface MonthFigures {
  readonly users: readonly { email: string; role: 'operator' | 'consumer' | 'provider' }[];
  readonly requests: number;
  readonly charged: Pico;
  readonly batches: number;
  readonly documents: number;
  readonly audit: MarketAuditReport;
}

const DAYS = 30;
const REQUESTS = 800;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const SETTLED_EVERY_DAYS = 7;
const ROUNDS_MAX = 400;
/** Older minutes are told to this many: a month of minutes of its own would be slow to write and nobody looks at one. */
const COARSE_MS = 30 * MINUTE_MS;
const FINE_DAYS = 2;

/** Whether somebody trades here already: users, or money that moved. What a first start gives away does not count. */
export async function hasTraded(database: Database): Promise<boolean> {
  const [row] = await database.sql<{ traded: boolean }[]>`
    select exists (select from users) or exists (select from entries where kind <> 'grant')
      or exists (select from usage) as traded`;
  return row?.traded ?? false;
}

export async function fillMonth(parts: MonthParts): Promise<MonthFigures> {
  const { database, chain, random, log, say } = parts;
  const days = demoDays(parts.clock.wallMs(), parts.days ?? DAYS, parts.requests ?? REQUESTS);
  const chance = seededRandomness(parts.seed);
  const first = (days[0] as DemoDay).from;
  const clock = new MonthClock(first - 2 * DAY_MS);
  const ids = idMaker(clock, random);
  const instance = ids('demo');

  say('People sign up, prove their wallets, pay and bring their machines.');
  const cast = await gatherCast(parts, { clock, ids, first });
  const prices = await setPrices(parts, clock, ids, first);
  const morning = badMorning(first, parts.clock.wallMs());
  const troubles = troublesOf(days);
  const market: DemoMarket = {
    ...cast,
    ...prices,
    troubles,
    policy: parts.config.money.splitPolicy,
    makeId: ids,
  };

  const settlement = chain && openSettlement({ ...settling(parts, chain), clock, log });
  const till = new Till({ database, clock, ids, instance, log });
  const measures = new Measures({ database, clock, instance, cast, now: parts.clock.wallMs() });
  const sessions = await SessionBook.open({ database, clock, log, instance, heard: () => [] });
  let requests = 0;
  let charged: Pico = 0n;
  let batches = 0;
  try {
    for (const day of days) {
      clock.set(day.from + MINUTE_MS);
      await till.monthly(cast.consumers.filter(({ plan }) => plan === 'pro'));
      if (settlement?.settler && chain && day.number > 0 && day.number % SETTLED_EVERY_DAYS === 0) {
        batches += await settle(settlement, chain);
        await claimAll(settlement, chain, cast.claimers);
      }
      await benchmarks(parts, { clock, ids, cast, day });
      const records = demoTraffic(day, market, chance);
      clock.set(day.until - MINUTE_MS);
      await till.sell(cast.consumers, records);
      await measures.note(day, records);
      await attend(sessions, { clock, ids, cast, day });
      if (day.number === 0 && morning) {
        const wren = cast.consumers.find(({ plan }) => plan === 'pro');
        if (wren) {
          const about = { consumerId: wren.consumerId, modelId: MORNING_MODEL, ...morning };
          await measures.refused(await refuseAll({ database, clock, ids }, about));
        }
      }
      requests += records.length;
      for (const record of records) charged += record.charge;
    }
    await till.close();
    say(`${requests} requests were charged. The month is measured and its troubles are written down.`);
    await measures.close(days);
    const told = morning && {
      modelId: MORNING_MODEL,
      provider: '',
      from: morning.from,
      until: morning.from + morning.minutes * MINUTE_MS,
    };
    await incidents(parts, { ids, troubles: [...(told ? [told] : []), ...troubles], clock, first });
  } finally {
    await sessions.close();
  }
  const now = parts.clock.wallMs();
  const office = { database, clock, ids };
  const rewarded = await rewardDays({ ...office, log }, { first, now });
  const leaving = cast.providerIds.get('copper');
  if (leaving !== undefined) await appeal(office, { providerId: leaving, at: now - 26 * HOUR_MS });
  await noteDeeds(office, { operatorId: cast.operatorId, deeds: deedsOf(cast, { first, now }) });
  clock.set(now);
  const credits = await closeAgreements(
    office,
    new Collateral({ database, chain: undefined, clock, makeId: ids, log }),
  );
  say(`${rewarded} days were rewarded, and service levels gave back ${credits} credits.`);
  const statements = openStatements({
    database,
    settings: parts.config.statements,
    assets: chain?.assets ?? [],
    clock,
  });
  const { documents } = await statements.billing.round();
  say('The books are opened.');
  const audit = await auditMarket({
    database,
    chain,
    ...settlement,
    funds: () => auditFunds({ database, chain }),
  });
  return { users: cast.users, requests, charged, batches, documents, audit };
}

/** Stands where it is put; durations and timers are the machine's. */
class MonthClock implements Clock {
  #wallMs: number;

  constructor(wallMs: number) {
    this.#wallMs = wallMs;
  }

  set(wallMs: number): void {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  nowMs(): number {
    return systemClock.nowMs();
  }

  after(...about: Parameters<Clock['after']>): ReturnType<Clock['after']> {
    return systemClock.after(...about);
  }

  every(...about: Parameters<Clock['every']>): ReturnType<Clock['every']> {
    return systemClock.every(...about);
  }

  endOfTurn(run: () => void): void {
    systemClock.endOfTurn(run);
  }
}

interface Cast {
  readonly users: { email: string; role: 'operator' | 'consumer' | 'provider' }[];
  readonly operatorId: string;
  readonly consumers: DemoMarket['consumers'];
  readonly providerIds: Map<string, string>;
  readonly nodeIds: Map<string, string[]>;
  /** Wallets that can pay for a claim. */
  readonly claimers: Sealed<Hex>[];
}

interface Office {
  readonly clock: MonthClock;
  readonly ids: IdMaker;
  readonly first: number;
}

async function gatherCast(parts: MonthParts, { clock, ids, first }: Office): Promise<Cast> {
  const { config, database, chain, random, log, password } = parts;
  const accounts = new Accounts({
    database,
    clock,
    makeId: ids,
    randomness: random,
    passwords: new Passwords(random),
    factors: new SecondFactors({ database, box: secretBox(config, random), clock, random }),
    life: lifeTerms(config),
    sessionMs: MINUTE_MS,
  });
  const keyDesk = new KeyDesk({ database, clock, makeId: ids, randomness: random });
  const users: Cast['users'] = [];
  const enrol = async (name: string, title: string, role: Cast['users'][number]['role']) => {
    const email = `${name}@demo.example`;
    const made = await accounts.signUp({ email, password, displayName: title });
    if (made === 'taken')
      throw new Fault('conflict', { outer: `${email} has signed up: this market has its demo month.` });
    users.push({ email, role });
    return made;
  };

  const { user: operator } = await enrol('operator', 'Demo operator', 'operator');
  await setOperator(database, {
    email: 'operator@demo.example',
    isOperator: true,
    actor: 'cli',
    at: clock.wallMs(),
  });

  const deposits = new Deposits({ database, clock });
  const consumers: DemoMarket['consumers'][number][] = [];
  for (const consumer of DEMO_CONSUMERS) {
    clock.set(first - DAY_MS + consumers.length * HOUR_MS);
    const { user, keyId } = await enrol(consumer.name, consumer.title, 'consumer');
    const { consumerId } = user;
    const keyIds = [keyId];
    for (const name of consumer.keys) {
      const made = await keyDesk.create({ kind: 'consumer', ownerId: consumerId, name, actor: user.id });
      if (made !== 'too-many') keyIds.push(made.id);
    }
    const pays = parseUsd(consumer.paysUsd);
    if (paysByCard(consumer)) await payByCard({ database, clock, ids }, consumerId, pays);
    else {
      const method = consumers.length % 2 === 0 ? 'bank' : 'paypal';
      await deposits.confirm({ method, consumerId, amount: pays, reference: ids('pay') });
    }
    consumers.push({ ...consumer, consumerId, keyIds: keyIds.slice(1) });
  }

  const chainId = config.chain.chainId;
  const market = config.funds.publicUrl;
  const wallets = new Wallets({ database, chain: undefined, chainId, market, clock, random });
  const collateral = new Collateral({ database, chain: undefined, clock, makeId: ids, log });
  const providerIds = new Map<string, string>();
  const nodeIds = new Map<string, string[]>();
  const claimers: Sealed<Hex>[] = [];
  for (const [index, provider] of DEMO_PROVIDERS.entries()) {
    clock.set(first - DAY_MS + (8 + index) * HOUR_MS);
    const { user } = await enrol(provider.name, provider.title, 'provider');
    const made = await accounts.upgrade(user.id, {
      name: provider.title,
      ownerAddress: null,
      workerAddress: null,
      beneficiaryAddress: null,
      description: `${provider.gpus} × ${provider.gpu}, ${provider.region}`,
    });
    if (typeof made === 'string') throw new Fault('internal', { inner: `A new provider is ${made}.` });
    const { providerId } = made;
    providerIds.set(provider.name, providerId);
    await setProviderTerms(database, { id: providerId, region: provider.region });

    // The first demo wallet is the one of `cygnet start`.
    const funded = chain?.demoWallets[index + 1];
    if (funded) claimers.push(funded);
    const wallet = funded ?? new Sealed<Hex>(`0x${random.bytes(32).toString('hex')}`);
    const { nonce, message } = await wallets.challenge({
      providerId,
      purpose: 'beneficiary',
      address: addressOf(wallet),
    });
    await wallets.prove({ providerId, nonce, signature: await signText(wallet, message), actor: user.id });

    const announced = await collateral.announceDollars(providerId, parseUsd(provider.collateralUsd));
    clock.set(clock.wallMs() + HOUR_MS);
    await collateral.confirmDollars(announced.id, { reference: ids('wire') });
    for (const to of ['approved', 'activating', 'active'] as const) {
      await setProviderState(database, { id: providerId, to, reason: '', at: clock.wallMs() });
    }
    const nodes: string[] = [];
    for (let n = 1; n <= provider.nodes; n++) {
      const nodeId = ids('node');
      await bindNode(database, {
        nodeId,
        providerId,
        keyId: made.keyId,
        name: `${provider.name}-${n}`,
        hardware: {
          gpu_model: provider.gpu,
          gpu_count: provider.gpus,
          gpu_vram_gb: provider.vramGb,
          cpu_cores: provider.gpus * 16,
          ram_gb: provider.gpus * 128,
        },
        at: clock.wallMs(),
      });
      nodes.push(nodeId);
    }
    nodeIds.set(provider.name, nodes);
  }
  // Somebody waits for an operator's decision, and one pledge is on its way out.
  clock.set(parts.clock.wallMs() - 3 * HOUR_MS);
  const { user } = await enrol('kestrel', 'Kestrel Compute', 'provider');
  const waiting = await accounts.upgrade(user.id, {
    name: 'Kestrel Compute',
    ownerAddress: null,
    workerAddress: null,
    beneficiaryAddress: null,
    description: '2 × NVIDIA L40S, eu-south',
  });
  if (typeof waiting !== 'string') {
    await collateral.announceDollars(waiting.providerId, parseUsd('150'));
  }
  clock.set(parts.clock.wallMs() - 2 * DAY_MS);
  const leaving = providerIds.get('copper');
  if (leaving !== undefined) await collateral.requestRefund(leaving, parseUsd('40'));
  clock.set(first);
  return { users, operatorId: operator.id, consumers, providerIds, nodeIds, claimers };
}

/** A history of prices for the models that are traded, and what each costs at an instant. */
async function setPrices(
  { database, log, clock: now }: MonthParts,
  clock: MonthClock,
  ids: IdMaker,
  first: number,
): Promise<Pick<DemoMarket, 'modelOf' | 'priceAt'>> {
  const view = await CatalogueView.open({ database, clock: now, log });
  const models = new Map<string, Model>();
  const versions = new Map<string, { from: number; price: Price }[]>();
  try {
    for (const id of new Set(DEMO_PROVIDERS.flatMap((each) => each.models))) {
      const model = view.resolve(id);
      if (!model) throw new Fault('internal', { inner: `The catalogue has no ${id}.` });
      models.set(id, model);
      // What it costs today it came down to, in three steps.
      for (const [day, percent] of [
        [-1, 130n],
        [8, 115n],
        [17, 105n],
      ] as const) {
        const { price } = model;
        const part = (amount: Pico): Pico => (amount * percent) / 100n;
        clock.set(first + day * DAY_MS);
        await setPrice(database, {
          id: ids('price'),
          modelId: id,
          amounts:
            price.unit === 'token'
              ? { unit: 'token', inputPico: part(price.inputPico), outputPico: part(price.outputPico) }
              : { unit: 'request', requestPico: part(price.requestPico) },
          effectiveFrom: clock.wallMs(),
          source: 'demo',
          forced: false,
          at: clock.wallMs(),
        });
      }
      const history = await priceHistory(database, { modelId: id, limit: 100 });
      versions.set(
        id,
        history.map((each) => ({ from: each.effectiveFrom, price: each })),
      );
    }
  } finally {
    await view.close();
  }
  clock.set(first);
  return {
    modelOf: (id) => models.get(id) as Model,
    priceAt: (id, at) => {
      const all = versions.get(id) ?? [];
      return (all.find(({ from }) => from <= at) ?? all.at(-1))?.price as Price;
    },
  };
}

function troublesOf(days: readonly DemoDay[]): DemoTrouble[] {
  const at = (number: number, hour: number): number =>
    ((days[Math.max(0, days.length - number)] as DemoDay).from ?? 0) + hour * HOUR_MS;
  return [
    { modelId: 'zai-org/GLM-4.7', provider: 'saffron', from: at(24, 13), until: at(24, 15) },
    { modelId: 'meta-llama/Llama-3.3-70B-Instruct', provider: 'delta', from: at(13, 9), until: at(13, 12) },
    { modelId: 'zai-org/GLM-4.7-Flash', provider: 'attic', from: at(4, 16), until: at(4, 17) },
  ];
}

/** What nobody served on one morning. */
const MORNING_MODEL = 'meta-llama/Llama-3.2-3B-Instruct';

/** What the operator's log has, in the order of time. */
function deedsOf(cast: Cast, { first, now }: { first: number; now: number }): DemoDeed[] {
  const copper = cast.providerIds.get('copper') ?? '';
  const [reed] = cast.consumers;
  return [
    ...[...cast.providerIds.values()].map((providerId, n) => ({
      at: first - DAY_MS + (10 + n) * HOUR_MS,
      what: 'POST /api/v1/operator/providers/:id/status',
      subject: providerId,
      asked: { status: 'approved' },
      before: { status: 'pending' },
      after: { status: 'approved' },
    })),
    {
      at: first + 17 * DAY_MS - HOUR_MS,
      what: 'POST /api/v1/operator/price-proposals',
      subject: '',
      asked: { model: 'zai-org/GLM-4.7' },
    },
    {
      at: now - 9 * DAY_MS,
      what: 'POST /api/v1/operator/providers/:id/status',
      subject: copper,
      asked: { status: 'suspended', reason: '' },
      code: 'request-invalid',
    },
    {
      at: now - 2 * DAY_MS,
      what: 'POST /api/v1/operator/consumers/:id/payments',
      subject: reed?.consumerId ?? '',
      asked: { method: 'bank', amount_usd: reed?.paysUsd ?? '' },
    },
  ];
}

/** The money of the month: who pays in when the balance runs low, and what is charged. */
class Till {
  readonly #parts: { database: Database; clock: MonthClock; ids: IdMaker; instance: string; log: Logger };
  readonly #book: Book;
  readonly #leases: Leases;
  readonly #deposits: Deposits;
  readonly #fees: PlanFees;

  constructor(parts: { database: Database; clock: MonthClock; ids: IdMaker; instance: string; log: Logger }) {
    const { database, clock, ids, instance, log } = parts;
    this.#parts = parts;
    this.#book = new Book({ database, instance, clock, log });
    this.#leases = new Leases({ database, instance, makeId: ids });
    this.#deposits = new Deposits({ database, clock });
    this.#fees = new PlanFees({ database, clock, log });
  }

  /** Plans that are due are paid for. */
  async monthly(consumers: readonly { consumerId: string }[]): Promise<void> {
    for (const { consumerId } of consumers) await this.#fees.choose(consumerId, 'pro');
  }

  async sell(consumers: DemoMarket['consumers'], records: readonly UsageRecord[]): Promise<void> {
    const { ids } = this.#parts;
    const needed = new Map<string, Pico>();
    for (const { consumerId, charge } of records) {
      needed.set(consumerId, (needed.get(consumerId) ?? 0n) + charge);
    }
    for (const { consumerId, paysUsd, plan } of consumers) {
      const amount = needed.get(consumerId) ?? 0n;
      if (amount === 0n) continue;
      const pays = parseUsd(paysUsd);
      let { available } = await this.#book.balance(consumerId);
      while (available < amount + pays / 5n) {
        if (paysByCard({ plan, paysUsd })) await payByCard(this.#parts, consumerId, pays);
        else
          await this.#deposits.confirm({ method: 'bank', consumerId, amount: pays, reference: ids('pay') });
        available += pays;
      }
      await this.#leases.grow(consumerId, { atLeast: amount, want: amount });
    }
    for (let from = 0; from < records.length; from += POSTED_AT_ONCE) {
      const some = records.slice(from, from + POSTED_AT_ONCE);
      await this.#book.post(some.map((record) => ({ kind: 'usage', record })));
    }
    const found = records.filter(
      ({ charge, outcome }, n) => charge > 0n && outcome === 'completed' && n % 211 === 7,
    );
    await this.#book.post(found.map((record) => ({ kind: 'correction', record: overcounted(record) })));
  }

  async close(): Promise<void> {
    await this.#leases.releaseAll();
  }
}

const POSTED_AT_ONCE = 2_000;
/** Firms pay by bank or PayPal, people and whoever pays little by card. */
const SMALL_PAYMENT = parseUsd('10');

function paysByCard({ plan, paysUsd }: Pick<DemoConsumer, 'plan' | 'paysUsd'>): boolean {
  return plan === 'pro' || parseUsd(paysUsd) <= SMALL_PAYMENT;
}

/** The exact count found a twentieth less. */
function overcounted(record: UsageRecord): CorrectionRecord {
  return {
    id: `fix_${record.id}`,
    at: record.at + 2_000,
    requestId: record.id,
    consumerId: record.consumerId,
    providerId: record.providerId as string,
    policy: record.policy,
    inputTokens: record.inputTokens - Math.floor(record.inputTokens / 20),
    outputTokens: record.outputTokens - Math.floor(record.outputTokens / 20),
    refund: record.charge / 20n + 1n,
    originalCharge: record.charge,
  };
}

function settling(parts: MonthParts, chain: MarketChain) {
  const { database, config } = parts;
  return { database, chain, minimum: config.money.payoutMinimum, dataFolder: config.dataFolder };
}

/** Rounds until the batch, if one is due, is in force; the local chain's time passes where a time lock is waited for. */
async function settle({ settler, store }: SettlementRoom, chain: MarketChain): Promise<number> {
  const before = (await store.last())?.number ?? 0;
  for (let n = 0; n < ROUNDS_MAX; n++) {
    const { step } = (await settler?.round()) ?? { step: 'settled' };
    if (step === 'settled') return ((await store.last())?.number ?? 0) - before;
    if (step === 'locked') await chain.pass(61);
    else await pause(systemClock, 25);
  }
  throw new Fault('internal', { inner: 'The batch did not come into force.' });
}

/** Wallets collect what they were promised; the settler reads it from the chain with its next round. */
async function claimAll(
  room: SettlementRoom,
  chain: MarketChain,
  wallets: readonly Sealed<Hex>[],
): Promise<void> {
  const place = { distributor: chain.distributor, token: chain.payoutToken.address };
  const { number } = await batchInForce(chain.chain, place);
  const batch = number === 0 ? undefined : await room.desk.find(number);
  if (!batch) return;
  for (const key of wallets) {
    const account = addressOf(key);
    const proof = await room.desk.proofOf(batch, account);
    if (!proof || proof.cumulative <= (await claimedBy(chain.chain, place, account))) continue;
    const sender = new Sender({
      chain: chain.chain,
      store: new MemoryTransactionStore(),
      key,
      clock: systemClock,
      settings: { confirmations: 1, maxFeePerGas: chain.maxFeePerGas, replaceAfterMs: 30_000 },
    });
    const { id } = await sender.send(
      claimIntent(place, { account, cumulative: proof.cumulative, proof: proof.proof }),
    );
    await sender.settled(id, 25, AbortSignal.timeout(CLAIM_WAIT_MS));
  }
  await room.settler?.carryOn();
}

const CLAIM_WAIT_MS = 15_000;

/** What the market measured: minutes, attempts, and who was there. */
class Measures {
  readonly #parts: { database: Database; clock: MonthClock; instance: string; cast: Cast; now: number };
  readonly #table: MinuteTable;
  readonly #attempts: AttemptTable;

  constructor(parts: { database: Database; clock: MonthClock; instance: string; cast: Cast; now: number }) {
    const { database, clock, instance } = parts;
    this.#parts = parts;
    this.#table = new MinuteTable({ database, instance });
    this.#attempts = new AttemptTable({ database, clock, life: instance });
  }

  async note(day: DemoDay, records: readonly UsageRecord[]): Promise<void> {
    const { database, cast, now } = this.#parts;
    const book = new MinuteBook(errorRow);
    const coarse = now - day.from > FINE_DAYS * DAY_MS;
    const planOf = new Map(cast.consumers.map(({ consumerId, plan }) => [consumerId, plan]));
    const regionOf = new Map(DEMO_PROVIDERS.map((each) => [cast.providerIds.get(each.name), each.region]));
    for (const record of records) {
      const at = coarse ? record.at - (record.at % COARSE_MS) : record.at;
      book.served(
        { ...record, at },
        {
          tier: tierOfPlan(planOf.get(record.consumerId)),
          region: regionOf.get(record.providerId ?? undefined) ?? null,
          queueMs: 1 + (record.ttftMs ?? 0) / 200,
        },
      );
      if (record.providerId !== null) {
        this.#attempts.note(
          record.providerId,
          record.modelId,
          record.outcome === 'completed' || record.outcome === 'cancelled',
        );
      }
    }
    await this.#table.keep(book.takeAll());
    await this.#attempts.keep();
    for (let from = day.from; from < day.until; ) {
      const there = whoIsThere(from);
      let until = from + HOUR_MS;
      while (until < day.until && whoIsThere(until).join() === there.join()) until += HOUR_MS;
      await notePresentMinutes(database, {
        from,
        until: Math.min(until, day.until),
        providerIds: there.map((name) => cast.providerIds.get(name) as string),
      });
      from = until;
    }
  }

  /** Requests that nobody could be asked for. */
  async refused(minutes: readonly RefusedMinute[]): Promise<void> {
    const { cast } = this.#parts;
    const book = new MinuteBook(errorRow);
    for (const { minute, consumerId, modelId, code } of minutes) {
      const plan = cast.consumers.find((each) => each.consumerId === consumerId)?.plan;
      book.refused(minute * MINUTE_MS, { modelId, tier: tierOfPlan(plan), code });
    }
    await this.#table.keep(book.takeAll());
  }

  /** Adds up the hours, a few at a time. */
  async close(days: readonly DemoDay[]): Promise<void> {
    const until = (days.at(-1) as DemoDay).until;
    while ((await this.#table.rollUp(until)) > 0);
  }
}

const whoIsThere = (at: number): string[] =>
  DEMO_PROVIDERS.filter((each) => isThere(each, at)).map(({ name }) => name);

/** Sessions: a provider that is away for an hour had one that ended. */
async function attend(
  sessions: SessionBook,
  { clock, ids, cast, day }: { clock: MonthClock; ids: IdMaker; cast: Cast; day: DemoDay },
): Promise<void> {
  for (const provider of DEMO_PROVIDERS) {
    const nodeId = cast.nodeIds.get(provider.name)?.[0] ?? '';
    const providerId = cast.providerIds.get(provider.name) as string;
    let since: number | undefined;
    for (let at = day.from; ; at += HOUR_MS) {
      const there = at < day.until && isThere(provider, at);
      if (there && since === undefined) since = at;
      if (!there && since !== undefined) {
        const id = ids('link');
        clock.set(since);
        sessions.began({ id, linkId: id, providerId, nodeId, mode: 'websocket' });
        clock.set(Math.min(at, day.until) - MINUTE_MS);
        sessions.ended(id, {
          why: at < day.until ? 'the connection was lost' : 'the agent left',
          attemptsLost: 0,
        });
        since = undefined;
      }
      if (at >= day.until) break;
    }
  }
  await sessions.keep();
}

/** A benchmark a day for each machine: most pass, the weakest sometimes does not. */
async function benchmarks(
  { database, config }: MonthParts,
  { clock, ids, cast, day }: { clock: MonthClock; ids: IdMaker; cast: Cast; day: DemoDay },
): Promise<void> {
  const store = new BenchmarkStore(database);
  const ladder = slashLadder(config.benchmarks.slashPercents);
  for (const provider of DEMO_PROVIDERS) {
    const nodeId = cast.nodeIds.get(provider.name)?.[0];
    const providerId = cast.providerIds.get(provider.name);
    const modelId = provider.models.find((each) => !UNASKED.includes(each));
    if (nodeId === undefined || providerId === undefined || modelId === undefined) continue;
    const place = { nodeId, modelId, providerId };
    const at = day.from + 2 * HOUR_MS;
    if (at > day.until) continue;
    const id = ids('bench');
    await store.enter(place, at);
    if (!(await store.claim(place, { runId: id, at, until: at + HOUR_MS }))) continue;
    const passed = !failsOn(provider, day);
    const wobble = ((day.number * 7) % 5) / 100;
    await store.finish(
      {
        ...place,
        id,
        beganAt: at,
        endedAt: at + 40_000,
        score: {
          math: [passed ? 9 : 3, 10],
          code: [passed ? 8 : 4, 10],
          ttftMs: provider.ttftMs * (1 + wobble),
          tokensPerSecond: provider.tokensPerS * (1 - wobble),
        },
        shortcomings: passed
          ? []
          : ['Of the questions of mathematics, 30 % were answered right; 50 % are needed.'],
        tier: TIER_OF(provider),
        papers: [],
      },
      (history, activatedAt) =>
        judge({ passed, endedAt: at + 40_000 }, history, {
          enforced: true,
          graceEndsAt: activatedAt,
          ladder,
          validMs: 30 * DAY_MS,
        }),
      () => at + DAY_MS,
    );
    await store.acted(id, at + 41_000);
  }
  clock.set(day.from + MINUTE_MS);
}

const UNASKED = ['BAAI/bge-large-en-v1.5', 'black-forest-labs/FLUX.1-schnell'];
const failsOn = (provider: DemoProvider, day: DemoDay): boolean =>
  provider.name === 'copper' && day.number === 19;
const TIER_OF = ({ vramGb }: DemoProvider): string => (vramGb >= 38 ? 'S' : vramGb >= 24 ? 'A' : 'B');

/** The troubles as they would have been told, and maintenance that is to come. */
async function incidents(
  { database, clock: now }: MonthParts,
  about: { ids: IdMaker; troubles: readonly DemoTrouble[]; clock: MonthClock; first: number },
): Promise<void> {
  const book = new IncidentBook(database);
  for (const [n, trouble] of about.troubles.entries()) {
    const { modelId, from, until } = trouble;
    about.clock.set(from);
    const id = about.ids('inc');
    const severity = n === 1 ? 'major' : 'minor';
    const because = 'The time to the first token is above its objective, and more answers break than usual.';
    const opened = await book.begin({
      id,
      modelId,
      region: '',
      severity,
      triggers: ['slow'],
      because,
      atMs: from + 5 * MINUTE_MS,
      actor: 'rule',
    });
    if (!opened) continue;
    const actor = 'operator@demo.example';
    await book.note(id, {
      atMs: from + 12 * MINUTE_MS,
      actor,
      words: 'One provider is slow. Its share of requests goes to the others.',
    });
    await book.note(id, {
      atMs: from + 14 * MINUTE_MS,
      actor,
      words: 'They updated a driver this morning.',
      internal: true,
    });
    await book.resolve(id, {
      atMs: until,
      actor: 'rule',
      words: 'The objective has been met for ten minutes.',
    });
    if (n < 2) {
      await book.publish(id, {
        atMs: until + DAY_MS,
        actor,
        words:
          'A provider updated the driver of its machines without draining them first. Requests to it were slow or broke; all of them were free. Such machines are now drained by themselves.',
      });
    }
  }
  const at = now.wallMs();
  await announce(database.sql, {
    id: about.ids('maint'),
    modelId: '',
    words: 'The database moves to a larger machine. Requests may wait for some seconds.',
    announcedMs: at,
    fromMs: (dayOf(at) + 5) * DAY_MS + 2 * HOUR_MS,
    untilMs: (dayOf(at) + 5) * DAY_MS + 3 * HOUR_MS,
  });
}
