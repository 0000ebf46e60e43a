import type { InferenceRooms } from '#gateway/inference.ts';
import { MemoryLimits } from '#gateway/limits.ts';
import { openRecounter, type Recounter } from '#gateway/recount.ts';
import { settleRecount } from '#gateway/settle-recount.ts';
import { CappedHolds, MemoryCaps } from '#gateway/spend-caps.ts';
import { Dispatcher, type DispatchSettings } from '#hub/dispatch.ts';
import { Hub } from '#hub/hub.ts';
import { ServiceBook } from '#hub/service-book.ts';
import { idMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { RetryBudget } from '#kit/retry.ts';
import { Holds } from '#ledger/holds.ts';
import { Journal } from '#ledger/journal.ts';
import { hearRecalls, Leases } from '#ledger/leases.ts';
import { Poster } from '#ledger/poster.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { leastConnections } from '#routing/strategies/least-connections.ts';
import { roundRobin } from '#routing/strategies/round-robin.ts';
import type { Chance } from '../chance.ts';
import type { Catalogue } from './catalogue.ts';
import { SimulatedCounting } from './counting-thread.ts';
import type { SimulatedDisk } from './disk.ts';
import { leaseDatabase } from './lease-database.ts';
import type { ProcessClock } from './process-clock.ts';
import type { RegisterOffice } from './register-office.ts';
import { DISPATCH, HUB, LIMITS, SERVING } from './settings.ts';
import type { Asker, Store } from './store.ts';

export interface LifeParts {
  readonly asker: Asker;
  readonly clock: ProcessClock;
  readonly chance: Chance;
  readonly log: Logger;
  readonly disk: SimulatedDisk;
  readonly store: Store;
  readonly catalogue: Catalogue;
  readonly office: RegisterOffice;
  readonly strategy: 'health-aware' | 'round-robin' | 'least-connections';
  readonly countingFate: () => 'well' | 'hangs' | 'dies';
  /** What a sabotaged world sets otherwise. */
  readonly dispatch: Partial<DispatchSettings>;
}

interface Money {
  readonly journal: Journal;
  readonly poster: Poster;
  readonly holds: Holds;
  readonly caps: MemoryCaps;
  readonly recalls: { stop: () => Promise<void> };
}

/**
 * One life of a market process, from its start to its death: the product's own rooms, wired as `src/marketplace.ts` wires
 * them, on the world's clock, chance, disk and store. Nothing here knows that it is simulated.
 */
export class Life {
  readonly hub: Hub;
  readonly dispatcher: Dispatcher;
  readonly holds: Holds;
  readonly journal: Journal;
  readonly poster: Poster;
  readonly rooms: InferenceRooms;
  readonly #recounter: Recounter;
  readonly #recalls: Money['recalls'];
  readonly #forget: (() => void)[] = [];
  /** Charges of this life that are durable and not yet posted, by request id. */
  readonly unposted = new Map<string, bigint>();

  private constructor(parts: LifeParts, money: Money) {
    const { clock, chance, log, store, office, catalogue, asker } = parts;
    const random = chance.source;
    const ids = idMaker(clock, random);
    this.journal = money.journal;
    this.poster = money.poster;
    this.holds = money.holds;
    const hub = new Hub(
      {
        clock,
        random,
        ids,
        log,
        keys: { find: (secret) => office.findKey(secret), seek: () => Promise.resolve() },
        providers: {
          find: (providerId) => office.find(providerId),
          stateOf: (providerId) => office.stateOf(providerId),
          watch: (changed) => {
            const stop = office.watch(changed);
            this.#forget.push(stop);
            return stop;
          },
        },
        nodes: office.binderOf(store, asker),
        models: catalogue,
        isRevoked: (keyId) => office.isRevoked(keyId),
      },
      HUB,
    );
    this.hub = hub;
    const service = new ServiceBook({
      clock,
      random,
      strategy: {
        'health-aware': healthAware,
        'round-robin': roundRobin,
        'least-connections': leastConnections,
      }[parts.strategy](),
      candidates: (modelId) => hub.candidates(modelId),
    });
    this.dispatcher = new Dispatcher(
      {
        clock,
        ids,
        random,
        log,
        retryBudget: new RetryBudget({ ratio: 0.1, burst: 20 }),
        pick: service.pick,
        linkOf: (candidate) => hub.linkOf(candidate),
        outcomes: service,
      },
      { ...DISPATCH, ...parts.dispatch },
    );
    this.#recalls = money.recalls;
    const recounter = openRecounter({
      clock,
      start: () => new SimulatedCounting(clock, parts.countingFate, () => chance.ms(0.2, 3)),
      onResult: (found) =>
        settleRecount(found, {
          recordOf: (...which) => hub.registry.recordOf(...which),
          journal: money.journal,
          caps: money.caps,
          clock,
          log,
        }),
    });
    this.#recounter = recounter;
    this.rooms = {
      clock,
      ids,
      log,
      settings: SERVING,
      keys: { find: (secret) => office.findKey(secret) },
      models: catalogue,
      limits: new MemoryLimits(LIMITS),
      holds: new CappedHolds(money.holds, money.caps),
      journal: money.journal,
      dispatcher: this.dispatcher,
      pick: service.pick,
      isQuarantined: (order) => service.isQuarantined(order),
      recounter,
      served: () => {},
      refused: () => {},
    };
  }

  /**
   * Starts a life: what the one before left in the journal is posted, its leases are released, and only then is anything
   * promised. Rejects when the store could not be asked; the process then ends and is started again.
   */
  static async begin(parts: LifeParts): Promise<Life> {
    const { clock, chance, log, store, asker } = parts;
    const disk = parts.disk.openFor(asker);
    const database = leaseDatabase(store, asker);
    const journal = await Journal.open({ disk, clock, log, segmentSizeMax: 48 * 1024 });
    const posting = store.postingOf(asker);
    const poster = new Poster({ journal, disk, posting, clock, random: chance.source, log });
    const leases = new Leases({ database, instance: asker.instance, makeId: idMaker(clock, chance.source) });
    if (!(await poster.drain(20_000))) throw new Error('The journal could not be posted in time.');
    await leases.releaseAll();
    const holds = new Holds({ store: leases, clock, log, exposureMax: 500_000_000n });
    const recalls = await hearRecalls({ database, instance: asker.instance }, (consumerId) =>
      holds.recalled(consumerId),
    );
    const caps = await MemoryCaps.open({ clock, log, keys: [], read: async () => new Map() });
    return new Life(parts, { journal, poster, holds, caps, recalls });
  }

  /** Stops as `src/marketplace.ts` does: no new work, then the answers under way, then the money. */
  async close(graceMs: number): Promise<void> {
    await this.hub.close(graceMs);
    this.dispatcher.close();
    await this.poster.drain(1_000);
    await this.#recounter.close();
    await this.#recalls.stop();
    await this.holds.close();
    await this.journal.close();
    await this.poster.drain(5_000);
    await this.poster.close();
  }

  /** Forgets what outsiders know of a dead life. */
  forget(): void {
    for (const forget of this.#forget.splice(0)) forget();
  }
}
