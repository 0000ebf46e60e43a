import type { Answer, Attempt, AttemptEnd, AttemptSink, Job } from '#hub/link.ts';
import type { Occupancy } from '#hub/link-attempt.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import { readPeerEnd } from './said.ts';

/** What a remote attempt needs of the link to the other gateway. */
export interface RemoteHost {
  readonly clock: Clock;
  /** How long the answer to a cancel may take. */
  readonly cancelWaitMs: number;
  readonly creditStepBytes: number;
  readonly resultBytesMax: number;
  cancel(attempt: RemoteAttempt, reason: string): void;
  credit(attempt: RemoteAttempt, bytes: number): void;
  release(attempt: RemoteAttempt): void;
}

/**
 * An attempt that another gateway makes for this one, on an agent of its own. What comes was checked there; here it is
 * passed on, in order, and ended once.
 *
 * The other side may send as many bytes as it has credit for, and gets credit back as the consumer takes them: what waits
 * here for a slow consumer is bounded by that, and over there the agent is made to wait.
 */
export class RemoteAttempt implements Attempt {
  readonly stream: number;
  readonly job: Job;
  readonly #host: RemoteHost;
  readonly #occupancy: Occupancy;
  readonly #sink: AttemptSink;
  #credit: number;
  #owed = 0;
  #undelivered = 0;
  #result: Buffer[] = [];
  #resultBytes = 0;
  #cancelling = false;
  #ended = false;
  #expiry: Timer | undefined;

  constructor(
    host: RemoteHost,
    about: { stream: number; credit: number; job: Job; occupancy: Occupancy; sink: AttemptSink },
  ) {
    this.#host = host;
    this.stream = about.stream;
    this.job = about.job;
    this.#credit = about.credit;
    this.#occupancy = about.occupancy;
    this.#sink = about.sink;
    this.#occupancy.began(about.job.modelId);
  }

  cancel(reason: Parameters<Attempt['cancel']>[0]): void {
    if (this.#ended || this.#cancelling) return;
    this.#cancelling = true;
    this.#host.cancel(this, reason);
    this.#expiry = this.#host.clock.after(this.#host.cancelWaitMs, () =>
      this.finish({ outcome: 'cancelled', usage: undefined, inner: undefined, errorCode: undefined }),
    );
  }

  consumed(bytes: number): void {
    if (this.#ended || bytes <= 0) return;
    const taken = Math.min(bytes, this.#undelivered);
    this.#undelivered -= taken;
    this.#occupancy.buffered(-taken);
    this.#owed += taken;
    if (this.#owed < this.#host.creditStepBytes || this.#cancelling) return;
    this.#credit += this.#owed;
    this.#host.credit(this, this.#owed);
    this.#owed = 0;
  }

  data(events: Buffer, counts: { events: number; tokens: number; contentBytes: number }): void {
    if (this.#cancelling || this.#ended) return;
    // One event may be larger than all credit: the other side sends it alone.
    if (this.#credit <= 0) return this.#break('more events than there was credit for');
    this.#credit -= events.length;
    this.#undelivered += events.length;
    const room = this.#occupancy.buffered(events.length);
    this.#sink.data(events, counts.events, counts.tokens, counts.contentBytes);
    if (room || this.#undelivered === 0) return;
    this.#host.cancel(this, 'consumer_disconnected');
    this.finish({
      outcome: 'cancelled',
      usage: undefined,
      inner: 'consumer too slow',
      errorCode: 'client-left',
    });
  }

  /** The next part of an unstreamed answer. */
  part(bytes: Buffer): void {
    if (this.#cancelling || this.#ended) return;
    this.#resultBytes += bytes.length;
    if (this.#resultBytes > this.#host.resultBytesMax) return this.#break('an answer larger than is taken');
    this.#result.push(Buffer.from(bytes));
  }

  /** The other gateway says how it ended. */
  ended(said: unknown): void {
    const read = readPeerEnd(said);
    if (!read) return this.#break('an end that cannot be read');
    const { usage, inner, error_code: errorCode, outcome } = read;
    const end: AttemptEnd = { outcome, usage, inner, errorCode };
    if (this.#cancelling) return this.finish({ ...end, outcome: 'cancelled' });
    if (outcome === 'completed' && !this.job.stream) {
      const body = this.#result.length === 1 ? (this.#result[0] as Buffer) : Buffer.concat(this.#result);
      let answer: Answer;
      try {
        answer = JSON.parse(body.toString()) as Answer;
      } catch {
        return this.#break('an answer that is not JSON');
      }
      this.#sink.result(body, answer);
    }
    this.finish(end);
  }

  /** The link to the other gateway is gone. */
  lost(): void {
    if (this.#cancelling)
      return this.finish({ outcome: 'cancelled', usage: undefined, inner: undefined, errorCode: undefined });
    this.finish({
      outcome: 'lost',
      usage: undefined,
      inner: 'the link to the other gateway was lost',
      errorCode: 'gateway-lost',
      between: true,
    });
  }

  finish(end: AttemptEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#expiry?.cancel();
    if (this.#undelivered > 0) this.#occupancy.buffered(-this.#undelivered);
    this.#undelivered = 0;
    this.#result = [];
    this.#host.release(this);
    this.#occupancy.ended(this.job.modelId);
    this.#sink.end(end);
  }

  #break(inner: string): void {
    this.#host.cancel(this, 'attempt_timeout');
    this.finish({ outcome: 'failed', usage: undefined, inner, errorCode: 'provider-failed' });
  }
}
