import { least, type Pico } from '#domain/money.ts';
import type { JournalRecord, UsageRecord } from '#domain/usage-record.ts';
import { type Clock, pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { consumerAccount } from '#ledger/chart.ts';
import { type Entry, grantEntry } from '#ledger/entries.ts';
import type { LeaseStore, UsagePosting } from '#ledger/ports.ts';
import { planPosting, type Rejection, sumsOf } from '#ledger/posting.ts';

/**
 * The ledger in memory, for simulations and for tests of what stands on it: the same promises as the one in PostgreSQL,
 * held to them by the same suite (`test/support/ledger-suite.ts`). It can be slow (`latencyMs`, on the given clock) and
 * away (`down`); a change asked for while it is away is not made.
 */
export class MemoryLedger {
  readonly balances = new Map<string, Pico>();
  readonly held = new Map<string, Pico>();
  readonly leases = new Map<string, Map<string, Pico>>();
  readonly usage = new Map<string, UsageRecord>();
  readonly corrections = new Set<string>();
  readonly entries = new Map<string, Entry>();
  readonly rejected = new Map<string, Rejection>();
  down = false;
  latencyMs = 0;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, (consumerId: string) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The leases of the process named `instance`. */
  leasesOf(instance: string): LeaseStore & { releaseAll(): Promise<void> } {
    const mine = (): Map<string, Pico> => {
      const map = this.leases.get(instance) ?? new Map<string, Pico>();
      this.leases.set(instance, map);
      return map;
    };
    return {
      grow: async (consumerId, { atLeast, want }) => {
        await this.#turn();
        const available = this.#available(consumerId);
        if (available < atLeast || available <= 0n) {
          let leasedElsewhere = 0n;
          for (const [other, map] of this.leases)
            if (other !== instance) leasedElsewhere += map.get(consumerId) ?? 0n;
          return { short: true, leasedElsewhere };
        }
        const half = available / 2n;
        const granted = least(want, half > atLeast ? half : atLeast);
        this.#hold(consumerId, granted);
        mine().set(consumerId, (mine().get(consumerId) ?? 0n) + granted);
        return { granted };
      },
      giveBack: async (consumerId, amount) => {
        await this.#turn();
        const leased = mine().get(consumerId) ?? 0n;
        if (amount > leased) throw new RangeError('More was given back than is leased.');
        mine().set(consumerId, leased - amount);
        this.#hold(consumerId, -amount);
      },
      recall: async (consumerId) => {
        await this.#turn();
        for (const [other, recalled] of this.#listeners) if (other !== instance) recalled(consumerId);
      },
      releaseAll: async () => {
        await this.#turn();
        for (const [consumerId, amount] of mine()) this.#hold(consumerId, -amount);
        mine().clear();
      },
    };
  }

  /** Hears recalls by others, as the process named `instance`. */
  hearRecalls(instance: string, recalled: (consumerId: string) => void): void {
    this.#listeners.set(instance, recalled);
  }

  /** Posting as the process named `instance`. */
  postingOf(instance: string): UsagePosting {
    return {
      post: async (records: readonly JournalRecord[]) => {
        await this.#turn();
        const leased = this.leases.get(instance) ?? new Map<string, Pico>();
        const known = new Set<string>();
        for (const { record } of records) if (this.#knows(record.id)) known.add(record.id);
        const plan = planPosting(records, { known, leased, originals: this.usage });
        for (const record of plan.usage) this.usage.set(record.id, record);
        for (const { id } of plan.corrections) this.corrections.add(id);
        for (const rejection of plan.rejected) this.rejected.set(rejection.id, rejection);
        for (const [consumerId, charged] of plan.charged) {
          leased.set(consumerId, (leased.get(consumerId) as Pico) - charged);
          this.#hold(consumerId, -charged);
        }
        for (const entry of plan.entries) this.#enter(entry);
      },
    };
  }

  async grant(consumerId: string, amount: Pico, id: string): Promise<void> {
    await this.#turn();
    const entry = grantEntry({ id, at: this.#clock.wallMs(), consumerId, amount });
    const known = this.entries.get(entry.id);
    if (!known) this.#enter(entry);
    else if (
      known.legs.some(
        (leg, i) => leg.amount !== entry.legs[i]?.amount || leg.account !== entry.legs[i]?.account,
      )
    ) {
      throw new Fault('internal', { inner: `The entry ${entry.id} exists with other amounts or parties.` });
    }
  }

  async balance(consumerId: string): Promise<{ total: Pico; held: Pico; available: Pico }> {
    const total = this.balances.get(consumerAccount(consumerId)) ?? 0n;
    const held = this.held.get(consumerId) ?? 0n;
    return { total, held, available: total - held };
  }

  /** What differs between the books and what they are rebuilt to; nothing when all is well. */
  differences(): string[] {
    const found: string[] = [];
    const rebuilt = sumsOf([...this.entries.values()]);
    for (const [account, balance] of this.balances) {
      if (balance !== (rebuilt.get(account) ?? 0n))
        found.push(`A balance is not the sum of its entries. ${account}`);
    }
    for (const [consumerId, held] of this.held) {
      let leased = 0n;
      for (const map of this.leases.values()) leased += map.get(consumerId) ?? 0n;
      if (held !== leased) found.push(`What is held is not the sum of the leases. ${consumerId}`);
    }
    for (const { id, charge } of this.usage.values()) {
      const entry = this.entries.get(`charge:${id}`);
      if (-(entry?.legs[0]?.amount ?? 0n) !== charge)
        found.push(`A charged request and its charge differ. ${id}`);
    }
    return found;
  }

  #knows(id: string): boolean {
    return this.usage.has(id) || this.corrections.has(id) || this.rejected.has(id);
  }

  #available(consumerId: string): Pico {
    return (this.balances.get(consumerAccount(consumerId)) ?? 0n) - (this.held.get(consumerId) ?? 0n);
  }

  #hold(consumerId: string, by: Pico): void {
    const held = (this.held.get(consumerId) ?? 0n) + by;
    this.held.set(consumerId, held);
    const balance = this.balances.get(consumerAccount(consumerId)) ?? 0n;
    if (held < 0n || held > balance) throw new Error(`Overdrawn: ${consumerId} holds ${held} of ${balance}.`);
  }

  #enter(entry: Entry): void {
    this.entries.set(entry.id, entry);
    for (const [account, sum] of sumsOf([entry]))
      this.balances.set(account, (this.balances.get(account) ?? 0n) + sum);
  }

  async #turn(): Promise<void> {
    if (this.down) throw new Fault('database-unreachable', { inner: 'staged' });
    if (this.latencyMs > 0) await pause(this.#clock, this.latencyMs);
  }
}
