import { decodeFunctionData } from 'viem';
import { merkleDistributorAbi, providerCollateralAbi, testTokenAbi } from '#chain/artifacts.ts';
import { decoded } from '#chain/watch.ts';
import type { Database } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import type { Pico } from '#domain/money.ts';
import type { MemoryChain } from '#support/memory-chain.ts';
import { balanceIn } from '#support/memory-contracts.ts';
import type { Court } from '../oracles/court.ts';
import { CONFIRMATIONS } from './process.ts';

const PICO_PER_UNIT = 1_000_000n;
const MINIMUM = 50n * 10n ** 12n;
const DAY_MS = 86_400_000;
/** The clocks of processes are wrong by so much at most. */
export const CLOCK_WRONG_MS_MAX = 2 * DAY_MS;

interface Earning {
  readonly seq: bigint;
  readonly amount: Pico;
}

interface BatchRow {
  number: bigint;
  day: string;
  cut: bigint;
  root: Hex;
  total: bigint;
  increase: bigint;
  claims_hash: Hex;
  accounts: bigint;
  state: 'pending' | 'submitted' | 'confirmed' | 'revoked';
  attempt: number;
}

interface PayoutRow {
  number: bigint;
  provider: string;
  account: Address;
  units: bigint;
  paid: Pico;
}

interface MoveRow {
  id: string;
  seq: bigint;
  scope: string;
  holder: string;
  kind: 'deposited' | 'requested' | 'cancelled' | 'slashed' | 'refunded';
  amount: bigint;
  reference: string;
}

interface Dollars {
  deposited: Pico;
  locked: Pico;
  waiting: Pico;
  slashed: Pico;
  refunded: Pico;
  askedMs: number;
}

/**
 * Watches money in and out by arithmetic of its own: after every commit what the database says, after every block what the
 * chain says. It shares nothing with the rooms but the names of tables and events.
 */
export class MoneyInOutOracle {
  readonly #court: Court;
  readonly #database: Database;
  readonly #chain: MemoryChain;
  readonly #nowMs: () => number;
  readonly #wallets: ReadonlyMap<string, Address | undefined>;
  readonly #earned = new Map<string, Earning[]>();
  readonly #batches = new Map<number, BatchRow>();
  readonly #payouts: PayoutRow[] = [];
  readonly #dollars = new Map<string, Dollars>();
  readonly #findings = new Set<string>();
  readonly #slashed = new Set<string>();
  /** Findings that somebody made. */
  readonly madeFindings = new Set<string>();
  /** Rates of SWAN, oldest first. */
  readonly rates: { effectiveAt: number; picoPerToken: Pico }[] = [];
  #moves = 0n;
  #promisedMost = 0n;

  constructor(parts: {
    court: Court;
    database: Database;
    chain: MemoryChain;
    nowMs: () => number;
    wallets: ReadonlyMap<string, Address | undefined>;
  }) {
    this.#court = parts.court;
    this.#database = parts.database;
    this.#chain = parts.chain;
    this.#nowMs = parts.nowMs;
    this.#wallets = parts.wallets;
  }

  get newest(): number {
    return Math.max(0, ...this.#batches.keys());
  }

  stateOf(number: number): BatchRow['state'] | undefined {
    return this.#batches.get(number)?.state;
  }

  /** A charge was posted: what must the provider have got of it? 5 % are the fee, seven tenths of the rest the provider's. */
  earned(provider: string, gross: Pico, posted: { seq: bigint; amount: Pico }): void {
    const due = ((gross - (gross * 5n) / 100n) * 7n) / 10n;
    if (posted.amount !== due) this.#wrong('I4', `${provider} got ${posted.amount} of ${gross}.`);
    const earnings = this.#earned.get(provider) ?? [];
    earnings.push({ seq: posted.seq, amount: due });
    this.#earned.set(provider, earnings);
  }

  // --- after a commit --------------------------------------------------------------------------------------------------

  async committed(): Promise<void> {
    const { sql } = this.#database;
    const [sum] = await sql<{ sum: Pico }[]>`select coalesce(sum(balance), 0) as sum from accounts`;
    if (sum?.sum !== 0n) this.#wrong('I1', `All accounts together are ${sum?.sum}.`);
    await this.#lookAtBatches();
    await this.#lookAtCollateral();
  }

  async #lookAtBatches(): Promise<void> {
    const { sql } = this.#database;
    const rows = await sql<BatchRow[]>`
      select number, day, cut, root, total, increase, claims_hash, accounts, state, attempt
      from settlements order by number`;
    for (const row of rows) {
      const number = Number(row.number);
      const known = this.#batches.get(number);
      if (!known) {
        this.#batches.set(number, row);
        await this.#newBatch(row);
      } else {
        for (const name of ['day', 'cut', 'root', 'total', 'increase', 'claims_hash', 'accounts'] as const) {
          if (known[name] !== row[name])
            this.#wrong('I10', `Batch ${number} had the ${name} ${known[name]} and has ${row[name]}.`);
        }
        this.#batches.set(number, row);
      }
    }
  }

  /** Each provider is in it with all that it earned up to the cut and was not paid before, or not at all. */
  async #newBatch(batch: BatchRow): Promise<void> {
    const found = await this.#database.sql<PayoutRow[]>`
      select s.number, p.provider_id as provider, p.account, p.units, p.paid
      from settlement_payouts p join settlements s on s.id = p.settlement_id
      where s.number = ${batch.number} order by p.provider_id`;
    let increase = 0n;
    for (const [provider, wallet] of this.#wallets) {
      const owed = this.#owed(provider, batch.cut);
      const payout = found.find((row) => row.provider === provider);
      const due = owed >= MINIMUM && wallet !== undefined ? owed / PICO_PER_UNIT : 0n;
      increase += due;
      if ((payout?.units ?? 0n) !== due || (payout && payout.account !== wallet))
        this.#wrong(
          'I10',
          `Batch ${batch.number} pays ${provider} ${payout?.units ?? 0n} units of ${due}, up to entry ${batch.cut}.`,
        );
      if (payout && payout.paid !== due * PICO_PER_UNIT)
        this.#wrong('I10', `Batch ${batch.number} takes ${payout.paid} of ${provider} for ${due} units.`);
    }
    this.#payouts.push(...found);
    const total = this.#promised();
    if (batch.increase !== increase || batch.total !== total)
      this.#wrong(
        'I10',
        `Batch ${batch.number} adds ${batch.increase} up to ${batch.total}; ${increase}, ${total}.`,
      );
    if (total > this.#promisedMost) this.#promisedMost = total;
  }

  #owed(provider: string, cut: bigint): Pico {
    let owed = 0n;
    for (const { seq, amount } of this.#earned.get(provider) ?? []) if (seq <= cut) owed += amount;
    for (const payout of this.#payouts) {
      if (payout.provider === provider && this.stateOf(Number(payout.number)) !== 'revoked')
        owed -= payout.paid;
    }
    return owed;
  }

  /** In units, by all batches that stand. */
  #promised(account?: Address): bigint {
    return this.#payouts.reduce((sum, row) => {
      const stands = this.stateOf(Number(row.number)) !== 'revoked';
      return stands && (account === undefined || row.account === account) ? sum + row.units : sum;
    }, 0n);
  }

  async #lookAtCollateral(): Promise<void> {
    const { sql } = this.#database;
    const findings = await sql<{ id: string; provider_id: string; share_bps: number }[]>`
      select id, provider_id, share_bps from collateral_findings order by id`;
    const fresh = findings.filter(({ id }) => !this.#findings.has(id));
    const due = new Map<string, Pico>();
    for (const { id, provider_id: provider, share_bps: share } of fresh) {
      this.#findings.add(id);
      if (!this.madeFindings.has(id)) this.#wrong('I11', `Nobody found ${id}.`);
      const { locked, waiting } = this.#dollarsOf(provider);
      const amount = ((locked + waiting) * BigInt(share)) / 10_000n;
      if (share > 0 && locked + waiting > 0n) due.set(id, amount === 0n ? 1n : amount);
    }
    const moves = await sql<MoveRow[]>`
      select id, seq, scope, holder, kind, amount, reference from collateral_moves
      where seq > ${this.#moves} order by seq`;
    for (const move of moves) {
      this.#moves = move.seq;
      if (move.scope === 'usd') this.#dollarMove(move, due);
    }
    for (const [id, amount] of due)
      if (amount > 0n) this.#wrong('I11', `The finding ${id} took nothing of ${amount}.`);
  }

  #dollarMove(move: MoveRow, due: Map<string, Pico>): void {
    const pledge = this.#dollarsOf(move.holder);
    const { amount } = move;
    switch (move.kind) {
      case 'deposited':
        pledge.deposited += amount;
        pledge.locked += amount;
        break;
      case 'requested':
        pledge.locked -= amount;
        pledge.waiting += amount;
        pledge.askedMs = this.#nowMs();
        break;
      case 'cancelled':
        pledge.locked += amount;
        pledge.waiting -= amount;
        break;
      case 'slashed': {
        if (this.#slashed.has(move.reference)) this.#wrong('I11', `${move.reference} slashed twice.`);
        this.#slashed.add(move.reference);
        if (due.get(move.reference) !== amount)
          this.#wrong('I11', `${move.reference} took ${amount} of ${due.get(move.reference)}.`);
        due.delete(move.reference);
        const fromLocked = amount < pledge.locked ? amount : pledge.locked;
        pledge.locked -= fromLocked;
        pledge.waiting -= amount - fromLocked;
        pledge.slashed += amount;
        break;
      }
      default:
        pledge.waiting -= amount;
        pledge.refunded += amount;
        if (this.#nowMs() - pledge.askedMs < 7 * DAY_MS - CLOCK_WRONG_MS_MAX * 2)
          this.#wrong('I11', `${move.holder} got ${amount} back without having waited.`);
    }
    const { deposited, locked, waiting, slashed, refunded } = pledge;
    if (locked < 0n || waiting < 0n || slashed + refunded > deposited)
      this.#wrong(
        'I11',
        `Of ${deposited} dollars of ${move.holder} ${slashed} were slashed and ${refunded} refunded.`,
      );
  }

  #dollarsOf(provider: string): Dollars {
    let dollars = this.#dollars.get(provider);
    if (!dollars) {
      dollars = { deposited: 0n, locked: 0n, waiting: 0n, slashed: 0n, refunded: 0n, askedMs: 0 };
      this.#dollars.set(provider, dollars);
    }
    return dollars;
  }

  // --- after a block ---------------------------------------------------------------------------------------------------

  /** What the chain shows now, deep or not. */
  blockCame(): void {
    const state = this.#chain.state();
    const { contracts } = this.#chain;
    const { distributor, token } = contracts.places;
    const putIn = balanceIn(state, token, distributor) + state.claimedTotal;
    const promised = state.pending.number > 0n ? state.pending.total : state.active.total;
    if (promised > putIn) this.#wrong('I10', `The contract promises ${promised} and was given ${putIn}.`);
    if (putIn > this.#promisedMost)
      this.#wrong(
        'I10',
        `The contract was given ${putIn}, and never more than ${this.#promisedMost} was promised.`,
      );
    for (const log of state.logs) {
      if (log.address !== distributor) continue;
      const [event] = decoded(merkleDistributorAbi, log);
      if (event?.eventName !== 'BatchPublished') continue;
      const batch = this.#batches.get(Number(event.args.number));
      if (
        batch?.root !== event.args.root ||
        batch.total !== event.args.total ||
        batch.claims_hash !== event.args.claimsHash
      )
        this.#wrong('I10', `Batch ${event.args.number} was published as another than it is.`);
    }
    for (const [account, units] of state.claimed) {
      if (units > this.#promised(account) && state.pending.number === 0n)
        this.#wrong('I10', `${account} was paid ${units} units and promised ${this.#promised(account)}.`);
    }
    for (const [key, pledge] of state.pledges) {
      const { deposited, locked, waiting, slashed, refunded } = pledge;
      if (deposited !== locked + waiting + slashed + refunded || locked < 0n || waiting < 0n)
        this.#wrong('I11', `The pledge ${key} does not add up.`);
    }
  }

  // --- in the end ------------------------------------------------------------------------------------------------------

  /** Everything was settled and claimed: does everybody have what is theirs, to the smallest unit? */
  async end(parts: {
    usdcAtFirst: (account: Address) => bigint;
    addresses: ReadonlyMap<Address, string>;
  }): Promise<void> {
    const state = this.#chain.state(CONFIRMATIONS);
    const { token, collateral } = this.#chain.contracts.places;
    const { sql } = this.#database;
    for (const wallet of new Set(this.#wallets.values())) {
      if (wallet === undefined) continue;
      const got = balanceIn(state, token, wallet) - parts.usdcAtFirst(wallet);
      if (got !== this.#promised(wallet))
        this.#wrong('I10', `${wallet} got ${got} units, and ${this.#promised(wallet)} are its own.`);
    }
    for (const [provider, wallet] of this.#wallets) {
      const rest = this.#owed(provider, 2n ** 62n);
      const [row] = await sql<
        { balance: Pico }[]
      >`select balance from accounts where id = ${`provider:${provider}`}`;
      if ((row?.balance ?? 0n) !== rest)
        this.#wrong('I10', `${provider} has ${row?.balance}, and ${rest} are left.`);
      if (wallet !== undefined && rest >= MINIMUM) this.#wrong('I10', `${provider} was never paid ${rest}.`);
    }
    const [claimable] = await sql<
      { balance: Pico }[]
    >`select balance from accounts where id = 'platform:claimable'`;
    if (claimable?.balance !== 0n)
      this.#wrong('I10', `After all claims ${claimable?.balance} can be claimed.`);
    await this.#endOfDeposits(parts.addresses);
    await this.#endOfSlashes();
    const pledges = await sql<
      { scope: string; holder: string; locked: bigint; waiting: bigint; slashed: bigint; refunded: bigint }[]
    >`
      select scope, holder, locked, waiting, slashed, refunded from collateral_pledges where scope <> 'usd'`;
    for (const [key, there] of state.pledges) {
      const [which, holder] = key.split(' ');
      const here = pledges.find(
        (row) => row.holder === holder && row.scope.endsWith(`${collateral}:${which}`),
      );
      for (const part of ['locked', 'waiting', 'slashed', 'refunded'] as const) {
        if ((here?.[part] ?? 0n) !== there[part])
          this.#wrong(
            'I11',
            `Of the pledge ${key} ${here?.[part]} is ${part} here and ${there[part]} there.`,
          );
      }
    }
  }

  /** Each slash that was sent for has happened, unless nothing was left to be slashed. */
  async #endOfSlashes(): Promise<void> {
    const rows = await this.#database.sql<
      { id: string; data: Hex; outcome: string | null; outcome_block: bigint | null }[]
    >`
      select id, data, outcome, outcome_block from transactions where id like 'slash:%' order by id`;
    const state = this.#chain.state(CONFIRMATIONS);
    for (const { id, data, outcome, outcome_block: block } of rows) {
      const { args } = decodeFunctionData({ abi: providerCollateralAbi, data });
      const [account, token, , reason] = args as readonly [Address, Address, bigint, Hex];
      if (state.reasons.has(reason)) continue;
      const then = block === null ? undefined : this.#chain.stateAt(block);
      const pledge = then?.pledges.get(`${token} ${account}`.toLowerCase());
      if (outcome !== 'reverted' || (pledge && pledge.locked + pledge.waiting > 0n))
        this.#wrong(
          'I11',
          `${id} never happened (${outcome}), and ${account} has ${pledge?.locked} and ${pledge?.waiting}.`,
        );
    }
  }

  /** Each transfer that stands was credited once, at the rate of its block; and nothing else was. */
  async #endOfDeposits(addresses: ReadonlyMap<Address, string>): Promise<void> {
    const state = this.#chain.state(CONFIRMATIONS);
    const rows = await this.#database.sql<
      { id: string; consumer_id: string; units: bigint; value: Pico; bonus: Pico; state: string }[]
    >`
      select id, consumer_id, units, value, bonus, state from deposits where method = 'crypto'`;
    const seen = new Set<string>();
    const { token } = this.#chain.contracts.places;
    for (const log of state.logs) {
      if (!this.#chain.contracts.places.tokens.has(log.address)) continue;
      const [event] = decoded(testTokenAbi, log);
      if (event?.eventName !== 'Transfer') continue;
      const consumer = addresses.get(event.args.to.toLowerCase() as Address);
      if (consumer === undefined) continue;
      const id = `${this.#chain.id}:${event.id}`;
      seen.add(id);
      const row = rows.find((one) => one.id === id);
      if (row?.consumer_id !== consumer || row.units !== event.args.value) {
        this.#wrong('I3', `The transfer ${id} was not credited.`);
        continue;
      }
      const at = Number((await this.#chain.block(log.block))?.timestamp ?? 0n) * 1_000;
      const rate = this.rates.findLast((one) => one.effectiveAt <= at)?.picoPerToken ?? 0n;
      const value =
        log.address === token ? event.args.value * PICO_PER_UNIT : (event.args.value * rate) / 10n ** 18n;
      const bonus = log.address === token ? 0n : (value * 2n) / 10n;
      if (row.value !== value || (row.state === 'booked' && row.bonus !== bonus))
        this.#wrong(
          'I4',
          `The transfer ${id} counted for ${row.value} and ${row.bonus}; ${value} and ${bonus} were right.`,
        );
    }
    for (const { id } of rows) if (!seen.has(id)) this.#wrong('I3', `${id} was credited and is in no block.`);
  }

  #wrong(invariant: string, what: string): void {
    this.#court.report(invariant, what);
  }
}
