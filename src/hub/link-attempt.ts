import type { Usage } from '#domain/usage.ts';
import type { ErrorCode } from '#wire/errors.ts';
import { meaningOf, shownStatus } from './agent-status.ts';
import { type AttemptEvent, type Phase, stepAttempt } from './attempt-state.ts';
import type { HubCounters } from './counters.ts';
import type { Answer, Attempt, AttemptEnd, AttemptSink, Job } from './link.ts';
import type { HubSettings } from './settings.ts';

/** Where a link tells how busy it is. */
export interface Occupancy {
  began(modelId: string): void;
  ended(modelId: string): void;
  /** Notes `delta` bytes more (or fewer) that wait for their consumers. False when that is more than may wait. */
  buffered(delta: number): boolean;
  /** The agent says that it does not have this model. */
  missing(modelId: string): void;
}

/** What an attempt needs of the link that runs it. */
export interface AttemptHost {
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
  /** Will the agent answer a stop with its exact usage? */
  readonly confirmsStop: boolean;
  /** Tells the agent to stop. */
  stop(attempt: LinkAttempt, reason: StopReason): void;
  /** The consumer took `bytes`. */
  taken(attempt: LinkAttempt, bytes: number): void;
  /** The attempt is over: forget it. */
  release(attempt: LinkAttempt): void;
}

export type StopReason = Parameters<Attempt['cancel']>[0];

/** Events without a token that are kept back, in the hope of a first token behind them. */
const HELD_BYTES_MAX = 16_384;

/**
 * One attempt on one link, in either dialect: carries out what `attempt-state.ts` decides, counts the bytes that wait
 * for the consumer, and tells the sink its one end.
 *
 * Events that carry nothing of the answer (the role) wait for the first one that does: until then nothing was shown, and
 * a provider that dies here can still be replaced without the consumer noticing.
 */
export class LinkAttempt implements Attempt {
  readonly job: Job;
  readonly #host: AttemptHost;
  readonly #sink: AttemptSink;
  phase: Phase = 'waiting';
  /** A finish reason was seen. */
  finished = false;
  usage: Usage | undefined;
  #undelivered = 0;
  #held: { events: Buffer; count: number; contentBytes: number } | undefined;

  constructor(host: AttemptHost, job: Job, sink: AttemptSink) {
    this.#host = host;
    this.job = job;
    this.#sink = sink;
    host.occupancy.began(job.modelId);
  }

  /** Bytes delivered that the consumer has not taken. */
  get undelivered(): number {
    return this.#undelivered;
  }

  cancel(reason: StopReason): void {
    if (this.phase === 'ended' || this.phase === 'cancelling') return;
    this.#dropHeld();
    if (this.#host.confirmsStop) {
      this.phase = stepAttempt(this.phase, 'cancel').phase;
      this.#host.stop(this, reason);
    } else {
      this.#host.stop(this, reason);
      this.happen('abandon');
    }
  }

  consumed(bytes: number): void {
    if (this.phase === 'ended' || bytes <= 0) return;
    const taken = Math.min(bytes, this.#undelivered);
    this.#undelivered -= taken;
    this.#host.occupancy.buffered(-taken);
    this.#host.taken(this, taken);
  }

  /** Passes on `count` whole events with `tokens` of the answer, `contentBytes` of it. */
  content(events: Buffer, count: number, tokens: number, contentBytes: number): void {
    if (!this.job.stream) return this.violate('events for an unstreamed answer');
    if (tokens === 0 && this.phase === 'waiting' && this.#hold(events, count, contentBytes)) return;
    const { phase, effect } = stepAttempt(this.phase, 'content');
    this.phase = phase;
    if (effect !== 'deliver') {
      this.#host.counters.droppedChunks += 1;
      return;
    }
    this.#pass(events, count, tokens, contentBytes);
  }

  /** The whole unstreamed answer. */
  answered(body: Buffer, answer: Answer): void {
    if (this.job.stream) return this.violate('an unstreamed answer for a stream');
    const { effect } = stepAttempt(this.phase, 'result');
    if (effect === 'complete') this.#sink.result(body, answer);
    this.happen('result');
  }

  /** The backend's end mark. */
  mark(): void {
    this.#releaseHeld();
    this.happen('mark');
  }

  /** The end of a stream, without an error. */
  streamEnded(): void {
    if (!this.job.stream) return this.violate('a stream ended for an unstreamed answer');
    if (this.finished) this.#releaseHeld();
    const shown = this.phase === 'streaming' || (this.phase === 'marked' && this.#shown);
    this.happen(shown && (this.finished || this.phase === 'marked') ? 'end-whole' : 'end-cut');
  }

  /** The end of a stream, or the answer to an unstreamed request, with an error in the agent's words. */
  failed(event: 'end-error' | 'result-error', status: unknown, text: string | undefined): void {
    if (status === 404) this.#host.occupancy.missing(this.job.modelId);
    this.happen(event, { status, text });
  }

  /** The provider broke the protocol: whatever it still says of this attempt is not wanted. */
  violate(inner: string): void {
    if (this.phase === 'ended') return;
    this.#host.counters.violations += 1;
    if (this.phase !== 'cancelling') this.#host.stop(this, 'attempt_timeout');
    this.happen('violation', { inner });
  }

  /** Ends an attempt that could not begin. */
  turnAway(outcome: 'refused' | 'busy' | 'lost', errorCode: ErrorCode, inner: string): void {
    if (this.phase !== 'ended') this.#finish({ outcome, usage: undefined, inner, errorCode });
  }

  /** Lets the table decide about an event without content, and does what it says. */
  happen(
    event: AttemptEvent,
    about: { status?: unknown; text?: string | undefined; inner?: string } = {},
  ): void {
    const { phase, effect } = stepAttempt(this.phase, event);
    const status = shownStatus(about.status);
    switch (effect) {
      case 'complete':
        return this.#finish({
          outcome: 'completed',
          usage: this.usage,
          inner: undefined,
          errorCode: undefined,
        });
      case 'refuse': {
        const { outcome, errorCode } = meaningOf(about.status, about.text);
        return this.#finish({ outcome, usage: undefined, inner: `status ${status}`, errorCode });
      }
      case 'empty':
        return this.#fail('provider-failed', 'the stream ended without an answer');
      case 'cut-off':
        return this.#fail(
          'provider-cut-off',
          event === 'end-cut' ? 'nothing finished the answer' : `status ${status}`,
        );
      case 'violate':
        return this.#fail('provider-failed', about.inner ?? `${event} came while ${this.phase}`);
      case 'cancelled':
        return this.#finish({
          outcome: 'cancelled',
          usage: this.usage,
          inner: undefined,
          errorCode: undefined,
        });
      case 'lost':
        return this.#finish({
          outcome: 'lost',
          usage: undefined,
          inner: 'the link was lost',
          errorCode: 'provider-cut-off',
        });
      case 'drop':
        this.#host.counters.droppedChunks += 1;
        break;
      case 'none':
      case 'ask-stop':
      case 'deliver':
        break;
    }
    this.phase = phase;
  }

  #shown = false;

  #hold(events: Buffer, count: number, contentBytes: number): boolean {
    const held = this.#held;
    if ((held?.events.length ?? 0) + events.length > HELD_BYTES_MAX) return false;
    this.#held = held
      ? {
          events: Buffer.concat([held.events, events]),
          count: held.count + count,
          contentBytes: held.contentBytes + contentBytes,
        }
      : { events, count, contentBytes };
    return true;
  }

  #dropHeld(): void {
    this.#held = undefined;
  }

  /** What was kept back turned out to be all there is, or to precede what comes now. */
  #releaseHeld(): void {
    const held = this.#held;
    if (!held || (this.phase !== 'waiting' && this.phase !== 'streaming')) return;
    this.#held = undefined;
    this.phase = 'streaming';
    this.#hand(held.events, held.count, 0, held.contentBytes);
  }

  #pass(events: Buffer, count: number, tokens: number, contentBytes: number): void {
    const held = this.#held;
    if (held) {
      this.#held = undefined;
      const together = Buffer.concat([held.events, events]);
      this.#hand(together, held.count + count, tokens, held.contentBytes + contentBytes);
    } else this.#hand(events, count, tokens, contentBytes);
  }

  #hand(events: Buffer, count: number, tokens: number, contentBytes: number): void {
    this.#shown = true;
    this.#undelivered += events.length;
    const room = this.#host.occupancy.buffered(events.length);
    this.#sink.data(events, count, tokens, contentBytes);
    if (this.#undelivered === 0) return;
    if (!room || this.#undelivered > this.#host.settings.streamBufferBytesMax) this.#tooSlow();
  }

  /** Its consumer does not read. Only this attempt is stopped: the socket is shared and must never wait. */
  #tooSlow(): void {
    if (this.phase === 'ended' || this.phase === 'cancelling') return;
    this.#host.counters.slowConsumers += 1;
    this.#host.stop(this, 'consumer_disconnected');
    this.#finish({
      outcome: 'cancelled',
      usage: this.usage,
      inner: 'consumer too slow',
      errorCode: 'client-left',
    });
  }

  #fail(errorCode: ErrorCode, inner: string): void {
    this.#finish({ outcome: 'failed', usage: this.usage, inner, errorCode });
  }

  #finish(end: AttemptEnd): void {
    this.phase = 'ended';
    this.#held = undefined;
    const { occupancy } = this.#host;
    if (this.#undelivered > 0) occupancy.buffered(-this.#undelivered);
    this.#undelivered = 0;
    this.#host.release(this);
    occupancy.ended(this.job.modelId);
    this.#sink.end(end);
  }
}
