import type { Answer, Attempt, AttemptEnd, AttemptSink } from '#hub/link.ts';
import type { Registry } from '#hub/registry.ts';
import type { Transport } from '#hub/transport.ts';
import { encodeFrame, encodeJsonFrame, FRAME, MAX_FRAME_PAYLOAD_BYTES } from '#wire/agent/frames.ts';
import { encodePeerData } from './frames.ts';
import type { PeerJob } from './said.ts';

export interface ServedHost {
  readonly registry: Registry;
  readonly transport: Transport;
  readonly requestBytesMax: number;
  over(job: ServedJob): void;
}

/**
 * A job that another gateway sent for an agent that is connected here: runs it on the agent's own link, and passes on what
 * comes, as far as there is credit. Without credit events are kept and not taken from the agent, whose own credit then runs
 * out. An agent that has become busy, or has left, makes the job come back as `busy`: the other gateway tries another.
 */
export class ServedJob implements AttemptSink {
  readonly stream: number;
  readonly about: PeerJob;
  readonly #host: ServedHost;
  readonly #body: Buffer[] = [];
  #bodyBytes = 0;
  #attempt: Attempt | undefined;
  #begun = false;
  #credit: number;
  #held: { events: Buffer; counts: { events: number; tokens: number; contentBytes: number } }[] = [];
  #ended: AttemptEnd | undefined;
  #said = false;
  #cancelled = false;

  constructor(host: ServedHost, stream: number, about: PeerJob) {
    this.#host = host;
    this.stream = stream;
    this.about = about;
    this.#credit = about.credit;
  }

  /** Takes the next bytes of the body, and begins when it is whole. */
  body(bytes: Buffer): void {
    if (this.#begun || this.#said) return;
    const wanted = this.about.body_bytes;
    this.#bodyBytes += bytes.length;
    if (wanted > this.#host.requestBytesMax || this.#bodyBytes > wanted)
      return this.#turnAway('too large a body');
    // A body that came whole is passed on as it lies; of one in parts none keeps the message it came in.
    if (bytes.length > 0) this.#body.push(bytes.length === wanted ? bytes : Buffer.from(bytes));
    if (this.#bodyBytes === wanted) this.#begin();
  }

  /** It is on the agent's link. */
  get running(): boolean {
    return this.#attempt !== undefined && this.#ended === undefined;
  }

  addCredit(bytes: number): void {
    this.#credit += bytes;
    this.#sendHeld();
  }

  cancel(reason: string): void {
    this.#cancelled = true;
    this.#held = [];
    if (this.#ended) return this.#sayEnd();
    if (!this.#attempt)
      return this.end({ outcome: 'cancelled', usage: undefined, inner: undefined, errorCode: undefined });
    const known = REASONS.find((each) => each === reason) ?? 'consumer_disconnected';
    this.#attempt.cancel(known);
  }

  /** The other gateway is gone: nobody is there to be told. */
  drop(): void {
    this.#said = true;
    this.#held = [];
    this.#attempt?.cancel('consumer_disconnected');
  }

  data(events: Buffer, eventCount: number, tokenCount: number, contentBytes: number): void {
    if (this.#cancelled || this.#said) return;
    const counts = { events: eventCount, tokens: tokenCount, contentBytes };
    if (this.#held.length === 0 && this.#fits(events.length)) this.#send(events, counts);
    // The message it is a view of may be gone by then.
    else this.#held.push({ events: Buffer.from(events), counts });
  }

  result(body: Buffer, _answer: Answer): void {
    if (this.#cancelled || this.#said) return;
    for (let at = 0; at < body.length; at += MAX_FRAME_PAYLOAD_BYTES)
      this.#host.transport.send(
        encodeFrame(FRAME.result, this.stream, body.subarray(at, at + MAX_FRAME_PAYLOAD_BYTES)),
      );
  }

  end(end: AttemptEnd): void {
    if (this.#ended) return;
    this.#ended = end;
    if (this.#held.length === 0) this.#sayEnd();
  }

  #begin(): void {
    this.#begun = true;
    const { about } = this;
    const presence = this.#host.registry.presenceByLink(about.link);
    const candidate = presence?.serving.get(about.model);
    const link = presence?.link;
    if (!presence || !candidate || !link) return this.#turnAway('the agent is not here any more');
    const { inFlight, capacity, linkInFlight, linkCapacity } = candidate;
    if (!candidate.eligible || inFlight >= capacity || linkInFlight >= linkCapacity)
      return this.#turnAway('the agent has no room');
    const body = this.#body.length === 1 ? (this.#body[0] as Buffer) : Buffer.concat(this.#body);
    this.#body.length = 0;
    this.#attempt = link.start(
      {
        attemptId: about.attempt,
        modelId: about.model,
        completionId: about.completion,
        createdS: about.created,
        operation: about.operation,
        expects: { items: about.items, dimensions: about.dimensions },
        stream: about.stream,
        body,
        set: about.set,
        deadlineMs: about.deadline_ms,
        via: about.via,
        traceparent: about.traceparent,
      },
      this,
    );
  }

  #turnAway(inner: string): void {
    this.end({ outcome: 'busy', usage: undefined, inner, errorCode: 'providers-busy' });
  }

  #fits(bytes: number): boolean {
    // An event that no credit could cover goes when most of it is there: what is owed returns in steps.
    return bytes <= this.#credit || this.#credit > this.about.credit / 2;
  }

  #send(events: Buffer, counts: { events: number; tokens: number; contentBytes: number }): void {
    this.#credit -= events.length;
    this.#host.transport.send(encodePeerData(this.stream, counts, events));
    this.#attempt?.consumed(events.length);
  }

  #sendHeld(): void {
    for (let next = this.#held[0]; next && this.#fits(next.events.length); next = this.#held[0]) {
      this.#held.shift();
      this.#send(next.events, next.counts);
    }
    if (this.#ended && this.#held.length === 0) this.#sayEnd();
  }

  #sayEnd(): void {
    if (!this.#ended) return;
    if (!this.#said) {
      const { outcome, usage, inner, errorCode } = this.#ended;
      const said = { outcome, usage, inner: inner?.slice(0, 1_000), error_code: errorCode };
      this.#host.transport.send(encodeJsonFrame(FRAME.end, this.stream, said));
    }
    this.#said = true;
    this.#host.over(this);
  }
}

const REASONS = ['consumer_disconnected', 'attempt_timeout', 'shutting_down'] as const;
