import type { Database } from '#db/database.ts';
import { type Follower, follow } from '#db/follower.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { BenchmarkStore, type Turn } from './store.ts';
import { benchmarkGate } from './verdict.ts';

/**
 * Every node's turns in memory, true to their table, because routing asks for them and the sampler looks every few seconds.
 * It also says of a node why it may not serve a model, and tells its watchers when that changes, by a run or by time.
 */
export class TurnBook {
  readonly #store: BenchmarkStore;
  readonly #clock: Clock;
  readonly #validMs: number;
  readonly #asks: (modelId: string) => boolean;
  readonly #turns = new Map<string, Map<string, Turn>>();
  readonly #watchers = new Set<(nodeId: string) => void>();
  #follower: Follower | undefined;
  #rounds: Timer | undefined;

  static async open(parts: {
    database: Database;
    clock: Clock;
    log: Logger;
    /** How long a passed run is worth something. */
    validMs: number;
    /** Whether a model is asked questions at all. */
    asks: (modelId: string) => boolean;
  }): Promise<TurnBook> {
    const book = new TurnBook(parts);
    book.#follower = await follow(parts.database, {
      channel: 'benchmark_turns_changed',
      clock: parts.clock,
      log: parts.log,
      load: (change) => book.#load(typeof change === 'string' ? 'all' : [...change]),
    });
    book.#rounds = parts.clock.every(LOOK_MS, () => book.#timePasses());
    return book;
  }

  private constructor(
    parts: Pick<Parameters<typeof TurnBook.open>[0], 'database' | 'clock' | 'validMs' | 'asks'>,
  ) {
    this.#store = new BenchmarkStore(parts.database);
    this.#clock = parts.clock;
    this.#validMs = parts.validMs;
    this.#asks = parts.asks;
  }

  find(nodeId: string, modelId: string): Turn | undefined {
    return this.#turns.get(nodeId)?.get(modelId);
  }

  ofProvider(providerId: string): Turn[] {
    return [...this.#turns.values()]
      .flatMap((models) => [...models.values()])
      .filter((turn) => turn.providerId === providerId);
  }

  /** Why the node may not serve the model, for want of a passed benchmark; undefined when it may. */
  against(nodeId: string, modelId: string): string | undefined {
    if (!this.#asks(modelId)) return undefined;
    return benchmarkGate(this.find(nodeId, modelId), this.#clock.wallMs(), this.#validMs);
  }

  /** Tells `changed` each node of which something may be another than before. Answers how to stop. */
  watch(changed: (nodeId: string) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Learns of turns that were made or changed a moment ago. */
  async look(nodeIds: readonly string[]): Promise<void> {
    await this.#follower?.look(nodeIds);
  }

  async close(): Promise<void> {
    this.#rounds?.cancel();
    this.#watchers.clear();
    await this.#follower?.close();
  }

  async #load(nodeIds: readonly string[] | 'all'): Promise<void> {
    const changed = new Set<string>();
    for (const turn of await this.#store.turns(nodeIds)) {
      const models = this.#turns.get(turn.nodeId) ?? new Map<string, Turn>();
      this.#turns.set(turn.nodeId, models);
      models.set(turn.modelId, turn);
      changed.add(turn.nodeId);
    }
    for (const nodeId of changed) this.#tell(nodeId);
  }

  /** What time alone changes: a withholding is over, a pass is too old. Asking anew costs no more than finding out. */
  #timePasses(): void {
    const now = this.#clock.wallMs();
    const near = (moment: number | null): boolean => moment !== null && Math.abs(moment - now) <= 2 * LOOK_MS;
    for (const [nodeId, models] of this.#turns) {
      for (const { withheldUntil, passedAt } of models.values()) {
        if (near(withheldUntil) || near(passedAt && passedAt + this.#validMs)) {
          this.#tell(nodeId);
          break;
        }
      }
    }
  }

  #tell(nodeId: string): void {
    for (const changed of this.#watchers) changed(nodeId);
  }
}

const LOOK_MS = 10_000;
