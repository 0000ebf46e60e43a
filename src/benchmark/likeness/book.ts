import type { Database } from '#db/database.ts';
import { type Follower, follow } from '#db/follower.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { whyUnlike } from './judge.ts';
import { type Finding, LikenessStore } from './store.ts';

/**
 * The findings that stand, in memory and true to their table, because routing asks for them. It tells its watchers when one
 * begins or ends, by a check, by the operator or by time.
 */
export class LikenessBook {
  readonly #store: LikenessStore;
  readonly #clock: Clock;
  #standing = new Map<string, Map<string, Finding>>();
  readonly #watchers = new Set<(nodeId: string) => void>();
  #follower: Follower | undefined;
  #rounds: Timer | undefined;

  static async open(parts: { database: Database; clock: Clock; log: Logger }): Promise<LikenessBook> {
    const book = new LikenessBook(parts);
    book.#follower = await follow(parts.database, {
      channel: 'likeness_changed',
      clock: parts.clock,
      log: parts.log,
      load: (change) => book.#load(typeof change === 'string' ? undefined : [...change]),
    });
    book.#rounds = parts.clock.every(LOOK_MS, () => book.#timePasses());
    return book;
  }

  private constructor(parts: { database: Database; clock: Clock }) {
    this.#store = new LikenessStore(parts.database);
    this.#clock = parts.clock;
  }

  /** What stands against a node on a model. */
  find(nodeId: string, modelId: string): Finding | undefined {
    const finding = this.#standing.get(nodeId)?.get(modelId);
    return finding && finding.expiresAt > this.#clock.wallMs() ? finding : undefined;
  }

  /** Why the node stands behind others of the model; undefined when it does not. */
  behind(nodeId: string, modelId: string): string | undefined {
    const finding = this.find(nodeId, modelId);
    return finding && whyUnlike(finding);
  }

  /** Tells `changed` each node of which something may be another than before. Answers how to stop. */
  watch(changed: (nodeId: string) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Learns of findings that were made or ended a moment ago. */
  async look(nodeIds: readonly string[]): Promise<void> {
    await this.#follower?.look(nodeIds);
  }

  async close(): Promise<void> {
    this.#rounds?.cancel();
    this.#watchers.clear();
    await this.#follower?.close();
  }

  async #load(nodeIds: readonly string[] | undefined): Promise<void> {
    const findings = await this.#store.findings({ nodeIds, standing: true, limit: STANDING_MAX });
    const held = new Map<string, Map<string, Finding>>();
    for (const finding of findings) {
      const models = held.get(finding.nodeId) ?? new Map<string, Finding>();
      held.set(finding.nodeId, models.set(finding.modelId, finding));
    }
    const changed = new Set([...(nodeIds ?? this.#standing.keys()), ...held.keys()]);
    for (const nodeId of changed) {
      const models = held.get(nodeId);
      if (models) this.#standing.set(nodeId, models);
      else this.#standing.delete(nodeId);
    }
    for (const nodeId of changed) this.#tell(nodeId);
  }

  #timePasses(): void {
    const now = this.#clock.wallMs();
    for (const [nodeId, models] of this.#standing)
      for (const { expiresAt } of models.values())
        if (Math.abs(expiresAt - now) <= 2 * LOOK_MS) this.#tell(nodeId);
  }

  #tell(nodeId: string): void {
    for (const changed of this.#watchers) changed(nodeId);
  }
}

const LOOK_MS = 10_000;
/** More than so many at once are no findings any more, but a mistake of ours. */
const STANDING_MAX = 10_000;
