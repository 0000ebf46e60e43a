import type { Pico } from '#domain/money.ts';
import type { JournalRecord } from '#domain/usage-record.ts';
import { Fault } from '#kit/fault.ts';
import type { UsagePosting } from '#ledger/ports.ts';
import { MemoryLedger } from '#support/memory-ledger.ts';
import type { VirtualClock } from '#support/virtual-clock.ts';
import type { Chance } from '../chance.ts';
import type { Sabotage } from '../sabotage.ts';

/** A life of a process, as the outside world knows it: what it asked for is answered only while it lives. */
export interface Asker {
  readonly instance: string;
  readonly dead: boolean;
  /** A later life of the same process has begun. */
  readonly replaced: boolean;
}

/** What may go wrong with a statement. `unheard`: it is committed and the answer is lost. */
export type Fate = 'well' | 'refused' | 'unheard';

export interface StoreWatch {
  /** How this store is broken on purpose, if it is. */
  readonly sabotage: Sabotage | undefined;
  fateOf(what: string): Fate;
  /** A durable write of `asker` is about to happen, or has just happened: a good moment to die. */
  nearWrite(asker: Asker, where: string): void;
  committed(what: string, consumerIds: readonly string[]): void;
  posted(asker: Asker, records: readonly JournalRecord[]): void;
}

/**
 * The database that all processes share: the ledger in memory behind a connection that is slow, stands still, refuses, or
 * loses the answer to what it did. Commits are single moments; an asker that dies in between hears nothing, and what it
 * asked for last may or may not be done.
 */
export class Store {
  readonly ledger: MemoryLedger;
  /** By instance and consumer: the last change of a lease and its amount, as the schema keeps them. */
  readonly lastChanges = new Map<string, { change: string; amount: Pico }>();
  /** Nothing is answered before this. */
  stalledUntilMs = 0;
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #watch: StoreWatch;
  readonly #recalls = new Map<string, (consumerId: string) => void>();

  constructor(clock: VirtualClock, chance: Chance, watch: StoreWatch) {
    this.ledger = new MemoryLedger(clock);
    this.#clock = clock;
    this.#chance = chance;
    this.#watch = watch;
  }

  /** Sends a statement and answers what the asker hears of it, if it lives to hear anything. */
  statement<T>(asker: Asker, what: string, commit: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fate = this.#watch.fateOf(what);
      this.#after(this.#chance.ms(0.1, 1.5), () => {
        if (fate !== 'refused') this.#watch.nearWrite(asker, `before ${what}`);
        if (asker.dead && (asker.replaced || this.#chance.yes(0.5))) return;
        const answered =
          fate === 'refused'
            ? Promise.reject<T>(new Fault('database-unreachable', { inner: 'simulated' }))
            : commit();
        const answer = (delayMs: number, hear: () => void): void => {
          this.#after(delayMs, () => {
            if (!asker.dead) hear();
          });
        };
        void answered.then(
          (value) => {
            this.#watch.nearWrite(asker, `after ${what}`);
            return answer(this.#chance.ms(0.1, 1.5), () => {
              if (fate === 'well') resolve(value);
              else reject(new Fault('database-unreachable', { inner: 'the answer was lost' }));
            });
          },
          (error: unknown) => answer(0.1, () => reject(error)),
        );
      });
    });
  }

  /** The answer of `grow_lease` and the sum of other leases, as `ledger/leases.ts` asks for them. */
  async grow(
    asker: Asker,
    consumerId: string,
    amounts: { atLeast: Pico; want: Pico },
    change: string,
  ): Promise<{ granted: Pico | null; elsewhere: Pico }> {
    const answer = await this.ledger.leasesOf(asker.instance).grow(consumerId, amounts);
    if ('short' in answer) {
      if (this.#watch.sabotage === 'lends-what-is-not-there')
        return this.#lend(asker, consumerId, amounts.atLeast);
      return { granted: null, elsewhere: answer.leasedElsewhere };
    }
    this.lastChanges.set(`${asker.instance} ${consumerId}`, { change, amount: answer.granted });
    this.#watch.committed('grow', [consumerId]);
    return { granted: answer.granted, elsewhere: 0n };
  }

  /** `give_back_lease`: false, and nothing changed, when less is leased. */
  async giveBack(asker: Asker, consumerId: string, amount: Pico, change: string): Promise<boolean> {
    if ((this.ledger.leases.get(asker.instance)?.get(consumerId) ?? 0n) < amount) return false;
    await this.ledger.leasesOf(asker.instance).giveBack(consumerId, amount);
    this.lastChanges.set(`${asker.instance} ${consumerId}`, { change, amount });
    this.#watch.committed('give-back', [consumerId]);
    return true;
  }

  async releaseAll(asker: Asker): Promise<void> {
    const consumerIds = [...(this.ledger.leases.get(asker.instance)?.keys() ?? [])];
    await this.ledger.leasesOf(asker.instance).releaseAll();
    for (const consumerId of consumerIds) this.lastChanges.delete(`${asker.instance} ${consumerId}`);
    this.#watch.committed('release-all', consumerIds);
  }

  /** Posting as the asker's process. */
  postingOf(asker: Asker): UsagePosting {
    const ledger = this.ledger.postingOf(asker.instance);
    return {
      post: (records) =>
        this.statement(asker, 'posting', async () => {
          await ledger.post(records);
          this.#spoil(records);
          this.#watch.posted(asker, records);
          this.#watch.committed('posting', [...new Set(records.map(({ record }) => record.consumerId))]);
        }),
    };
  }

  /** Grants credit from outside any process. */
  async grant(consumerId: string, amount: Pico, id: string): Promise<void> {
    await this.ledger.grant(consumerId, amount, id);
    this.#watch.committed('grant', [consumerId]);
  }

  /** Announces to every other process, a moment later, that a consumer's money is needed. */
  recall(asker: Asker, consumerId: string): void {
    this.#after(0.5, () => {
      for (const [instance, recalled] of this.#recalls) if (instance !== asker.instance) recalled(consumerId);
    });
  }

  /** One listener per process: its present life. */
  hearRecalls(instance: string, recalled: (consumerId: string) => void): void {
    this.#recalls.set(instance, recalled);
  }

  stopRecalls(instance: string): void {
    this.#recalls.delete(instance);
  }

  /** What a broken ledger does besides. */
  #spoil(records: readonly JournalRecord[]): void {
    const { sabotage } = this.#watch;
    if (sabotage !== 'posts-a-record-twice' && sabotage !== 'skims-a-pico') return;
    for (const { record } of records) {
      const entry = this.ledger.entries.get(`charge:${record.id}`);
      if (!entry) continue;
      const legs =
        sabotage === 'posts-a-record-twice'
          ? entry.legs
          : [
              { account: `provider:${record.providerId}`, amount: -1n },
              { account: 'platform:fee', amount: 1n },
            ];
      const { balances } = this.ledger;
      for (const { account, amount } of legs) balances.set(account, (balances.get(account) ?? 0n) + amount);
    }
  }

  #lend(asker: Asker, consumerId: string, amount: Pico): { granted: Pico; elsewhere: Pico } {
    const { held, leases } = this.ledger;
    held.set(consumerId, (held.get(consumerId) ?? 0n) + amount);
    const mine = leases.get(asker.instance);
    mine?.set(consumerId, (mine.get(consumerId) ?? 0n) + amount);
    this.#watch.committed('grow', [consumerId]);
    return { granted: amount, elsewhere: 0n };
  }

  #after(delayMs: number, run: () => void): void {
    const stallMs = Math.max(0, this.stalledUntilMs - this.#clock.nowMs());
    this.#clock.after(stallMs + delayMs, run);
  }
}
