import type { Clock } from '#kit/clock.ts';
import { Rounds } from '#kit/rounds.ts';
import type { ModelHealth } from '#wire/agent/messages.ts';
import type { ServedModel } from './serve.ts';

const PROBE_EVERY_MS = 30_000;
const UNHEALTHY_AFTER = 3;

/**
 * What this agent says of its models' health: each backend is looked at every 30 seconds; degraded after one failure,
 * unhealthy after three in a row, healthy again after one success.
 */
export class HealthWatch {
  readonly #models = new Map<string, ServedModel>();
  readonly #failures = new Map<string, number>();
  readonly #clock: Clock;
  #changed: () => void = () => {};
  #rounds: Rounds | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Looks at every backend every 30 seconds; `changed` is called when the map has changed. */
  start(changed: () => void): void {
    this.#changed = changed;
    this.#rounds = new Rounds(this.#clock, {
      periodMs: PROBE_EVERY_MS,
      work: () => this.#look(),
      failed: () => {},
    });
  }

  /**
   * Watches a model from now on, in place of whatever had its id; looks at it once before it resolves. If that look
   * fails, the model is degraded for the hopeful, as at a start, and otherwise unhealthy until it first answers.
   */
  async add(model: ServedModel, mood: 'hopeful' | 'wary' = 'wary'): Promise<void> {
    const good = await model.backend.probe();
    this.#models.set(model.id, model);
    this.#failures.set(model.id, good ? 0 : mood === 'hopeful' ? 1 : UNHEALTHY_AFTER);
  }

  /** Watches it no more. */
  remove(id: string): void {
    this.#models.delete(id);
    this.#failures.delete(id);
  }

  async close(): Promise<void> {
    await this.#rounds?.close();
  }

  /** The health of one model. */
  of(id: string): ModelHealth {
    const failures = this.#failures.get(id);
    if (failures === undefined) return 'unknown';
    if (failures === 0) return 'healthy';
    return failures < UNHEALTHY_AFTER ? 'degraded' : 'unhealthy';
  }

  async #look(): Promise<void> {
    const before = this.#words();
    await Promise.all(
      [...this.#models.values()].map(async (model) => {
        const { id, backend } = model;
        const good = await backend.probe();
        // Replaced while it was looked at: the answer is another's.
        if (this.#models.get(id) !== model) return;
        this.#failures.set(id, good ? 0 : Math.min(UNHEALTHY_AFTER, (this.#failures.get(id) ?? 0) + 1));
      }),
    );
    if (this.#words() !== before) this.#changed();
  }

  #words(): string {
    return [...this.#models.keys()].map((id) => this.of(id)).join(' ');
  }
}
