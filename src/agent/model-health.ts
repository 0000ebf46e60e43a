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
  readonly #models: readonly ServedModel[];
  readonly #failures = new Map<string, number>();
  readonly #clock: Clock;
  readonly #log: Logger;
  #changed: () => void = () => {};
  #rounds: Rounds | undefined;

  constructor(parts: { models: Iterable<ServedModel>; clock: Clock; log: Logger }) {
    this.#models = [...parts.models];
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Looks once at every backend, then every 30 seconds; `changed` is called when the map has changed. */
  async start(changed: () => void): Promise<void> {
    await this.#look();
    this.#changed = changed;
    this.#rounds = new Rounds(this.#clock, {
      periodMs: PROBE_EVERY_MS,
      work: () => this.#look(),
      failed: () => {},
    });
  }

  /** The health of every model. */
  health(): Record<string, ModelHealth> {
    return Object.fromEntries(this.#models.map(({ id }) => [id, this.#word(id)]));
  }

  /** The models that may be sent work: all but the unhealthy ones. */
  ready(): string[] {
    return this.#models.map(({ id }) => id).filter((id) => this.#word(id) !== 'unhealthy');
  }

  async close(): Promise<void> {
    await this.#rounds?.close();
  }

  #word(id: string): ModelHealth {
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
    const before = JSON.stringify(this.health());
    await Promise.all(
      this.#models.map(async ({ id, backend }) => {
        const good = await backend.probe();
        const was = this.#word(id);
        this.#failures.set(id, good ? 0 : Math.min(UNHEALTHY_AFTER, (this.#failures.get(id) ?? 0) + 1));
        this.#say(id, was, this.#word(id));
      }),
    );
    if (JSON.stringify(this.health()) !== before) this.#changed();
  }
}
