import { assert } from '#kit/assert.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import {
  DATA_PREFIX_BYTES,
  eachFrame,
  encodeCreditFrame,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  FRAME_HEADER_BYTES,
  type JobHeader,
  MAX_FRAME_PAYLOAD_BYTES,
} from '#wire/agent/frames.ts';
import { isAnswerFor, statedFor } from './answer.ts';
import { BodyPump } from './body-pump.ts';
import { isFields } from './completion.ts';
import type { HubCounters } from './counters.ts';
import { areEventsFor, envelopeBytes, isFramed, measureEvents } from './event-framing.ts';
import type { Attempt, AttemptSink, Job, Link } from './link.ts';
import { type AttemptHost, LinkAttempt, type Occupancy } from './link-attempt.ts';
import type { HubSettings } from './settings.ts';
import { StreamTable } from './stream-table.ts';
import type { Transport } from './transport.ts';

/** One frame in so many is read as JSON, on average and never the same one; the others are only looked at. */
const SAMPLE_EVERY = 64;
/** A token is hardly ever longer: events that seem to hold more for each of their tokens are measured exactly. */
const BYTES_PER_TOKEN_USUAL = 16;
/** A consumer that is this far behind is handed copies, so that it does not keep whole messages of the socket alive. */
const COPY_ABOVE_BYTES = 32_768;
/** The longest single event that is put together from fragments. */
const EVENT_BYTES_MAX = 1_048_576;

const NOTHING = Buffer.alloc(0);

class StreamAttempt extends LinkAttempt {
  readonly stream: number;
  /** Credit given and not used; bytes taken whose credit is not yet returned. */
  credit: number;
  owed = 0;
  /** Bytes of fragments whose credit was returned before their event was whole. */
  advanced = 0;
  /** Frames until the next one that is read. The first always is. */
  unread = 0;
  readonly envelopeBytes: number;
  fragments: Buffer[] = [];
  fragmentBytes = 0;
  result: Buffer[] = [];
  resultBytes = 0;
  expiry: Timer | undefined;

  constructor(host: AttemptHost, about: { stream: number; credit: number }, job: Job, sink: AttemptSink) {
    super(host, job, sink);
    this.stream = about.stream;
    this.credit = about.credit;
    this.envelopeBytes = envelopeBytes(job);
  }
}

/**
 * An agent that speaks `cygnet.stream.v1` (src/wire/agent/frames.ts): many streams' finished events in one binary
 * message, handed on without being parsed or copied. What is passed on unparsed is still held to its form: the framing
 * of every event is checked, the first of each attempt and a sample of the rest are read in full, and one that says
 * what it was not told to say ends the attempt.
 *
 * A stream may send as much as it has credit for; credit returns as the consumer takes bytes. So what a slow consumer
 * leaves lying is bounded by the agent's own pause, and the socket never waits.
 */
export class StreamLink implements Link, AttemptHost {
  readonly id: string;
  readonly mode = 'websocket';
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
  readonly confirmsStop = true;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #random: Randomness;
  readonly #onDrain: () => void;
  readonly #pump: BodyPump;
  readonly #attempts = new StreamTable<StreamAttempt>();
  #lost = false;
  /** What this agent's events have beyond the smallest event and their content, at least. */
  #spareBytes: number | undefined;

  constructor(parts: StreamLinkParts) {
    this.id = parts.id;
    this.counters = parts.counters;
    this.settings = parts.settings;
    this.occupancy = parts.occupancy;
    this.#transport = parts.transport;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#onDrain = parts.onDrain;
    this.#pump = new BodyPump(parts.transport, parts.settings.sendAheadBytesMax);
  }

  get inFlight(): number {
    return this.#attempts.size;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    const stream = this.#attempts.number();
    assert(stream <= 0xffff_ffff, 'a connection has stream numbers left');
    const credit = this.settings.creditBytes;
    const attempt = new StreamAttempt(this, { stream, credit }, job, sink);
    this.#attempts.add(attempt);
    const header: JobHeader = {
      attempt: job.attemptId,
      model: job.modelId,
      completion: job.completionId,
      created: job.createdS,
      operation: job.operation,
      stream: job.stream,
      set: job.set,
      body_bytes: job.body.length,
      credit,
      deadline_ms: job.deadlineMs,
    };
    const frame = encodeJsonFrame(FRAME.job, stream, header);
    const refusal = this.#refusal(frame, job);
    if (refusal) this.#clock.endOfTurn(() => attempt.turnAway(...refusal));
    else {
      this.#transport.send(frame);
      if (job.body.length > 0) this.#pump.add(stream, job.body);
    }
    return attempt;
  }

  #refusal(frame: Buffer, job: Job): Parameters<LinkAttempt['turnAway']> | undefined {
    if (this.#lost) return ['lost', 'provider-cut-off', 'the link is gone'];
    if (
      frame.length > FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD_BYTES ||
      job.body.length > this.settings.requestBytesMaxNew
    ) {
      return ['refused', 'prompt-too-large-for-providers', 'larger than the agent can read'];
    }
    return undefined;
  }

  stop(attempt: LinkAttempt): void {
    if (this.#lost) return;
    const { stream } = attempt as StreamAttempt;
    this.#pump.drop(stream);
    this.#transport.send(encodeFrame(FRAME.cancel, stream, NOTHING));
    this.#transport.flush();
    if (attempt.phase === 'cancelling') {
      (attempt as StreamAttempt).expiry = this.#clock.after(this.settings.cancelWaitMs, () =>
        attempt.happen('expire'),
      );
    }
  }

  taken(attempt: LinkAttempt, bytes: number): void {
    const own = attempt as StreamAttempt;
    const advanced = Math.min(bytes, own.advanced);
    own.advanced -= advanced;
    this.#giveBack(own, bytes - advanced);
  }

  release(attempt: LinkAttempt): void {
    const own = attempt as StreamAttempt;
    own.expiry?.cancel();
    own.fragments = [];
    own.result = [];
    this.#pump.drop(own.stream);
    this.#attempts.delete(own.stream);
  }

  /** The link died: every attempt ends now. Answers how many there were. */
  lost(): number {
    this.#lost = true;
    const attempts = this.#attempts.values();
    for (const attempt of attempts) attempt.happen('lost');
    return attempts.length;
  }

  /** The socket has room again. */
  drained(): void {
    this.#pump.pump();
  }

  /**
   * Takes one binary message. Answers how many of its frames belonged to no attempt that ever was, or `broken` when the
   * message is not made of frames.
   */
  take(message: Buffer): { foreign: number } | 'broken' {
    let foreign = 0;
    const whole = eachFrame(message, MAX_FRAME_PAYLOAD_BYTES, (type, stream, payload) => {
      if (!this.#frame(type, stream, payload)) foreign += 1;
    });
    return whole ? { foreign } : 'broken';
  }

  /** One frame; false when it belongs to no attempt that this link ever had. */
  #frame(type: number, stream: number, payload: Buffer): boolean {
    if (type === FRAME.drain && stream === 0) {
      this.#onDrain();
      return true;
    }
    const attempt = this.#attempts.get(stream);
    if (!attempt) {
      if (stream === 0 || stream >= this.#attempts.next) return false;
      this.counters.lateFrames += 1;
      return true;
    }
    if (type === FRAME.data) this.#data(attempt, payload);
    else if (type === FRAME.result) this.#result(attempt, payload);
    else if (type === FRAME.end) this.#end(attempt, payload);
    else this.counters.ignored += 1;
    return true;
  }

  #data(attempt: StreamAttempt, payload: Buffer): void {
    if (attempt.phase === 'cancelling') {
      this.counters.lateFrames += 1;
      return;
    }
    if (payload.length <= DATA_PREFIX_BYTES) return attempt.violate('a data frame without events');
    const events = payload.readUInt16LE(0);
    const tokens = payload.readUInt16LE(2);
    const sse = payload.subarray(DATA_PREFIX_BYTES);
    attempt.credit -= sse.length;
    if (attempt.credit < 0) return attempt.violate('more events than there was credit for');
    if (events === 0) return this.#fragment(attempt, sse);
    if (attempt.fragmentBytes > 0) this.#lastFragment(attempt, sse, events, tokens);
    else this.#events(attempt, sse, events, tokens);
  }

  #events(attempt: StreamAttempt, sse: Buffer, events: number, tokens: number): void {
    const sampled = attempt.unread === 0;
    if (sampled) attempt.unread = 1 + Math.floor(this.#random.float() * 2 * SAMPLE_EVERY);
    attempt.unread -= 1;
    if (!isFramed(sse, events)) return attempt.violate('events that are not framed as agreed');
    if (sampled && !areEventsFor(sse, attempt.job))
      return attempt.violate('events that say what they were not told to');
    this.counters.chunks += events;
    const contentBytes = this.#contentBytes(attempt, sse, events, tokens);
    const kept = attempt.undelivered > COPY_ABOVE_BYTES ? Buffer.from(sse) : sse;
    // A token is a byte at least, whatever the agent counts.
    attempt.content(kept, events, Math.min(tokens, contentBytes), contentBytes);
  }

  /**
   * How much of these events the model wrote. What an event is longer than the smallest one may be content, as long as it
   * is about as much as one token an event has; where it seems more, or more tokens are claimed, it is measured, so that
   * padding earns nothing.
   */
  #contentBytes(attempt: StreamAttempt, sse: Buffer, events: number, tokens: number): number {
    if (tokens === 0) return 0;
    const beyond = sse.length - events * (attempt.envelopeBytes + (this.#spareBytes ?? 0));
    if (tokens <= events && beyond >= tokens && beyond <= BYTES_PER_TOKEN_USUAL * tokens) return beyond;
    const { bytes, spare } = measureEvents(sse, attempt.job);
    if (spare !== undefined) this.#spareBytes = Math.min(this.#spareBytes ?? spare, spare);
    return bytes;
  }

  /**
   * A part of an event that is too large for a frame. Its credit returns at once, or an event larger than the credit
   * could never arrive; its bytes are not credited again when the consumer takes them.
   */
  #fragment(attempt: StreamAttempt, part: Buffer): void {
    attempt.fragmentBytes += part.length;
    if (attempt.fragmentBytes > EVENT_BYTES_MAX) return attempt.violate('an event larger than the hub takes');
    attempt.fragments.push(Buffer.from(part));
    attempt.advanced += part.length;
    this.#giveBack(attempt, part.length);
  }

  #lastFragment(attempt: StreamAttempt, part: Buffer, events: number, tokens: number): void {
    const whole = Buffer.concat([...attempt.fragments, part]);
    attempt.fragments = [];
    attempt.fragmentBytes = 0;
    if (events !== 1) return attempt.violate('an event in parts must end alone');
    this.#events(attempt, whole, 1, tokens);
  }

  /** Returns credit, in steps large enough to be worth a frame. */
  #giveBack(attempt: StreamAttempt, bytes: number): void {
    attempt.owed += bytes;
    if (attempt.owed < this.settings.creditStepBytes || attempt.phase === 'cancelling' || this.#lost) return;
    attempt.credit += attempt.owed;
    this.#transport.send(encodeCreditFrame(attempt.stream, attempt.owed));
    attempt.owed = 0;
  }

  #result(attempt: StreamAttempt, payload: Buffer): void {
    if (attempt.phase === 'cancelling') return;
    if (attempt.job.stream) return attempt.violate('an unstreamed answer for a stream');
    attempt.resultBytes += payload.length;
    if (attempt.resultBytes > this.settings.resultBytesMax)
      return attempt.violate('an answer larger than the hub takes');
    // The parts are copied: the message they came in may hold other streams' frames, and would be kept for this one.
    attempt.result.push(Buffer.from(payload));
  }

  #end(attempt: StreamAttempt, payload: Buffer): void {
    let end: unknown;
    try {
      end = JSON.parse(payload.toString());
    } catch {
      return attempt.violate('an end that is not JSON');
    }
    if (!isFields(end)) return attempt.violate('an end that says nothing');
    attempt.usage = statedFor(end, attempt.job.operation);
    const event = attempt.job.stream ? 'end-error' : 'result-error';
    if (attempt.phase === 'cancelling') attempt.happen('end-whole');
    else if (end['status'] !== 200) attempt.failed(event, end['status'], reasonOf(end));
    else if (!attempt.job.stream) this.#whole(attempt);
    else if (attempt.fragmentBytes > 0) attempt.violate('the stream ended within an event');
    else {
      // Null is an answer too: the backend ended as agreed and named no reason. An end that says nothing of it is none.
      attempt.finished = end['finish_reason'] !== undefined;
      attempt.streamEnded();
    }
  }

  /** An unstreamed answer is complete: it is parsed, once, to be checked; its own bytes are what the consumer gets. */
  #whole(attempt: StreamAttempt): void {
    const body = attempt.result.length === 1 ? (attempt.result[0] as Buffer) : Buffer.concat(attempt.result);
    let answer: unknown;
    try {
      answer = JSON.parse(body.toString());
    } catch {
      return attempt.violate('an answer that is not JSON');
    }
    if (!isAnswerFor(answer, attempt.job))
      return attempt.violate('the answer has not the shape that was asked for');
    attempt.answered(body, answer);
  }
}

/** The words an `end` gives for its status, as far as they help to tell what kind of failure it is. */
function reasonOf(end: Record<string, unknown>): string | undefined {
  const text = [end['code'], end['error']].filter((each) => typeof each === 'string').join(' ');
  return text === '' ? undefined : text.slice(0, 1_024);
}

export interface StreamLinkParts {
  readonly id: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
  readonly random: Randomness;
  /** The agent asks for no more jobs. */
  readonly onDrain: () => void;
}
