import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { ModelHealth } from '#wire/agent/messages.ts';
import type { ServedModel } from './serve.ts';

const PROBE_EVERY_MS = 30_000;
const UNHEALTHY_AFTER = 3;

/**
 * What this agent says of its models' health: each backend is looked at every 30 seconds; degraded after one failure,
 * unhealthy after three in a row, healthy again after one success. Each step is a line of the log: else a provider whose
 * server is away would learn of it from missing earnings.
 */
export class HealthWatch {
  readonly #models = new Map<string, ServedModel>();
  readonly #failures = new Map<string, number>();
  readonly #clock: Clock;
  readonly #log: Logger;
  #changed: () => void = () => {};
  #rounds: Rounds | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
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
    this.#say(model.id, 'unknown', this.of(model.id));
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

  #say(model: string, was: ModelHealth, is: ModelHealth): void {
    if (is === was) return;
    if (is === 'degraded') this.#log.warn({ model }, 'the server of this model does not answer');
    if (is === 'unhealthy')
      this.#log.warn({ model }, 'this model is offered no more until its server answers');
    if (is === 'healthy' && was !== 'unknown')
      this.#log.info({ model }, 'the server of this model answers again');
  }

  async #look(): Promise<void> {
    const before = this.#words();
    await Promise.all(
      [...this.#models.values()].map(async (model) => {
        const { id, backend } = model;
        const good = await backend.probe();
        // Replaced while it was looked at: the answer is another's.
        if (this.#models.get(id) !== model) return;
        const was = this.of(id);
        this.#failures.set(id, good ? 0 : Math.min(UNHEALTHY_AFTER, (this.#failures.get(id) ?? 0) + 1));
        this.#say(id, was, this.of(id));
      }),
    );
    if (this.#words() !== before) this.#changed();
  }

  #words(): string {
    return [...this.#models.keys()].map((id) => this.of(id)).join(' ');
  }
}
