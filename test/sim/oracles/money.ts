import type { Pico } from '#domain/money.ts';
import type { JournalRecord, UsageRecord } from '#domain/usage-record.ts';
import { consumerAccount, providerAccount } from '#ledger/chart.ts';
import type { Store } from '../market/store.ts';
import type { Court } from './court.ts';

const REBUILD_EVERY_COMMITS = 400;

/**
 * Watches the ledger after every commit: the sum of all accounts (I1), that nobody is below zero or holds more than they
 * have (I2), and every balance against one kept here by arithmetic of its own (I3, I4), so that money which moves twice,
 * or to the wrong party, is seen at the commit that moved it.
 */
export class MoneyOracle {
  readonly #court: Court;
  readonly #store: () => Store;
  /** What each account must have, worked out here. */
  readonly #expected = new Map<string, Pico>();
  readonly #seen = new Set<string>();
  readonly #charged = new Map<string, UsageRecord>();
  commits = 0;

  constructor(court: Court, store: () => Store) {
    this.#court = court;
    this.#store = store;
  }

  granted(consumerId: string, amount: Pico): void {
    this.#move(consumerAccount(consumerId), amount);
    this.#move('platform:promo', -amount);
  }

  /** A posting was committed: what should it have done? */
  posted(records: readonly JournalRecord[]): void {
    const { ledger } = this.#store();
    const touched = new Set<string>();
    for (const line of records) {
      const { id } = line.record;
      if (this.#seen.has(id)) continue;
      this.#seen.add(id);
      const rejection = ledger.rejected.get(id);
      if (rejection) {
        this.#court.report('I2', `A record was rejected by the ledger: ${id}: ${rejection.reason}.`);
        continue;
      }
      if (line.kind === 'usage') {
        this.#charged.set(id, line.record);
        if (line.record.charge > 0n) this.#charge(line.record, line.record.charge, 0n, touched);
      } else {
        const original = this.#charged.get(line.record.requestId);
        if (!original) {
          this.#court.report('I3', `A correction of a request that was not charged: ${id}.`);
          continue;
        }
        this.#charge(original, original.charge - line.record.refund, original.charge, touched);
      }
    }
    for (const account of touched) this.#compare(account);
  }

  /** Any commit: the whole is zero, and whoever it touched is not overdrawn. */
  committed(consumerIds: readonly string[]): void {
    const { ledger } = this.#store();
    this.commits += 1;
    let sum = 0n;
    for (const balance of ledger.balances.values()) sum += balance;
    if (sum !== 0n) this.#court.report('I1', `All accounts together are ${sum}.`);
    for (const consumerId of consumerIds) {
      const balance = ledger.balances.get(consumerAccount(consumerId)) ?? 0n;
      const held = ledger.held.get(consumerId) ?? 0n;
      if (held < 0n || held > balance)
        this.#court.report('I2', `${consumerId} has ${balance} and holds ${held}.`, [consumerId]);
    }
    if (this.commits % REBUILD_EVERY_COMMITS === 0) this.rebuild();
  }

  /** Everything from the entries again. */
  rebuild(): void {
    const { ledger } = this.#store();
    for (const difference of ledger.differences()) this.#court.report('I1', difference);
    for (const account of ledger.balances.keys()) this.#compare(account);
  }

  /** From charging `was` to charging `should`, as the policy standard-1 says it: 5 %, then 70, 20 (and the rest) and 10. */
  #charge(record: UsageRecord, should: Pico, was: Pico, touched: Set<string>): void {
    const after = shares(should);
    const before = shares(was);
    const provider = providerAccount(record.providerId ?? 'nobody');
    const consumer = consumerAccount(record.consumerId);
    this.#move(consumer, was - should);
    this.#move(provider, after.provider - before.provider);
    this.#move('platform:fee', after.fee - before.fee);
    this.#move('platform:treasury', after.treasury - before.treasury);
    this.#move('platform:burn', after.burn - before.burn);
    for (const account of [consumer, provider, 'platform:fee', 'platform:treasury', 'platform:burn'])
      touched.add(account);
  }

  #move(account: string, amount: Pico): void {
    this.#expected.set(account, (this.#expected.get(account) ?? 0n) + amount);
  }

  #compare(account: string): void {
    const found = this.#store().ledger.balances.get(account) ?? 0n;
    const expected = this.#expected.get(account) ?? 0n;
    if (found !== expected)
      this.#court.report('I4', `${account} has ${found} and should have ${expected}.`, [
        account.slice(account.indexOf(':') + 1),
      ]);
  }
}

function shares(gross: Pico): { fee: Pico; provider: Pico; treasury: Pico; burn: Pico } {
  const fee = (gross * 5n) / 100n;
  const net = gross - fee;
  const provider = (net * 7n) / 10n;
  const burn = net / 10n;
  return { fee, provider, burn, treasury: net - provider - burn };
}
