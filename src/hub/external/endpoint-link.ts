import type { EndpointModel } from '#domain/external-endpoint.ts';
import type { Clock } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import type { HubCounters } from '../counters.ts';
import type { Attempt, AttemptSink, Job, Link } from '../link.ts';
import { type AttemptHost, LinkAttempt, type Occupancy } from '../link-attempt.ts';
import type { HubSettings } from '../settings.ts';
import { Exchange } from './exchange.ts';
import { KeyWatch } from './key-watch.ts';
import type { Line } from './line.ts';
import { requestOf } from './request-of.ts';

/**
 * An external endpoint as dispatch sees it: the same face as an agent's session. Each attempt is one HTTP request; a
 * cancel cuts its socket at once, and no usage is told then; a slow consumer pauses its response.
 */
export class EndpointLink implements Link, AttemptHost {
  readonly id: string;
  readonly mode = 'external';
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
  readonly confirmsStop = false;
  readonly #line: Line;
  readonly #models: ReadonlyMap<string, EndpointModel>;
  readonly #clock: Clock;
  readonly #random: Randomness;
  readonly #exchanges = new Map<LinkAttempt, Exchange>();
  #closed = false;
  #emptied: (() => void) | undefined;

  constructor(parts: EndpointLinkParts) {
    this.id = parts.id;
    this.counters = parts.counters;
    this.settings = parts.settings;
    this.occupancy = parts.occupancy;
    this.#line = parts.line;
    this.#models = new Map(parts.models.map((model) => [model.modelId, model]));
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    const attempt = new LinkAttempt(this, job, sink);
    const model = this.#models.get(job.modelId);
    const byChat = job.operation === 'completions' && !model?.operations.includes('completions');
    const exchange = new Exchange(attempt, {
      byChat,
      keyWatch: new KeyWatch(this.#line.key),
      resultBytesMax: this.settings.resultBytesMax,
      lingering: (cut) => this.#clock.after(this.settings.endWaitMs, cut),
    });
    this.#exchanges.set(attempt, exchange);
    // The sink hears nothing from within this call, and undici may refuse at once.
    this.#clock.endOfTurn(() => {
      if (attempt.phase !== 'waiting') return;
      if (this.#closed || !model) attempt.turnAway('busy', 'providers-busy', 'the endpoint has left');
      else this.#send(attempt, exchange, { upstreamName: model.upstreamName, byChat });
    });
    return attempt;
  }

  #send(attempt: LinkAttempt, exchange: Exchange, about: { upstreamName: string; byChat: boolean }): void {
    const request = requestOf(attempt.job, { ...about, random: this.#random });
    if (!request) return attempt.turnAway('refused', 'body-not-json', 'the body is no JSON object');
    const { pool, origin, path, headers } = this.#line;
    const { via, traceparent } = attempt.job;
    const loop = via === undefined ? undefined : { 'cdn-loop': `${via}, ${headers['cdn-loop']}` };
    try {
      pool.dispatch(
        {
          origin,
          path: path + request.path,
          method: 'POST',
          headers: {
            ...headers,
            ...loop,
            ...request.headers,
            ...(traceparent !== undefined && { traceparent }),
          },
          body: request.body,
        },
        exchange,
      );
    } catch {
      exchange.fail('unsendable');
    }
  }

  stop(attempt: LinkAttempt): void {
    this.#exchanges.get(attempt)?.abort();
  }

  taken(attempt: LinkAttempt): void {
    this.#exchanges.get(attempt)?.taken();
  }

  release(attempt: LinkAttempt): void {
    this.#exchanges.get(attempt)?.release();
    this.#exchanges.delete(attempt);
    if (this.#exchanges.size === 0) this.#emptied?.();
  }

  /** No new attempts; those under way end by themselves. Then the connections are closed. */
  async retire(): Promise<void> {
    this.#closed = true;
    if (this.#exchanges.size > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    }
    await this.#line.pool.destroy();
  }

  /** Ends everything now. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [attempt, exchange] of this.#exchanges) {
      exchange.abort();
      attempt.happen('lost');
    }
    await this.#line.pool.destroy();
  }
}

export interface EndpointLinkParts {
  readonly id: string;
  readonly line: Line;
  readonly models: readonly EndpointModel[];
  readonly clock: Clock;
  readonly random: Randomness;
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
}
