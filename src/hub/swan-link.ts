import { isUtf8 } from 'node:buffer';
import { assert } from '#kit/assert.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import { type Envelope, encodeMessage } from '#wire/agent/messages.ts';
import { ownAnswer, statedFor } from './answer.ts';
import { chunkEvent, eventHead } from './chunk-event.ts';
import { ChunkTemplate } from './chunk-template.ts';
import { isFields, lowerUsage, statedTotals, statedUsage } from './completion.ts';
import type { HubCounters } from './counters.ts';
import type { Generation } from './declaration.ts';
import { inferenceFrame } from './inference-frame.ts';
import type { Attempt, AttemptSink, Job, Link } from './link.ts';
import { type AttemptHost, LinkAttempt, type Occupancy, type StopReason } from './link-attempt.ts';
import { RecentIds } from './recent-ids.ts';
import type { HubSettings } from './settings.ts';
import { textChunk } from './text-by-chat.ts';
import type { Transport } from './transport.ts';

/** How often a stream may show a new shape of message before we stop learning shapes from it. */
const LEARN_TIMES_MAX = 4;

class SwanAttempt extends LinkAttempt {
  readonly head: string;
  template: ChunkTemplate | undefined;
  learnt = 0;
  /** Runs from the end mark to the end. */
  endWait: Timer | undefined;

  constructor(host: AttemptHost, job: Job, sink: AttemptSink) {
    super(host, job, sink);
    this.head = eventHead(job);
  }
}

/**
 * An agent that speaks the Swan protocol: JSON messages, one per token. Attempts are told apart by the `request_id` that
 * we gave them; a message counts only on the link that owns the attempt.
 */
export class SwanLink implements Link, AttemptHost {
  readonly id: string;
  readonly mode = 'websocket';
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #node: SwanNode;
  readonly #attempts = new Map<string, SwanAttempt>();
  readonly #recent = new RecentIds(1_024);
  #unstreamed = false;
  #lost = false;
  /** Nobody tells the usage of a cancelled stream: generations A and B go on, C falls silent. */
  readonly confirmsStop = false;

  constructor(parts: SwanLinkParts) {
    this.id = parts.id;
    this.counters = parts.counters;
    this.settings = parts.settings;
    this.occupancy = parts.occupancy;
    this.#transport = parts.transport;
    this.#clock = parts.clock;
    this.#node = parts.node;
  }

  get inFlight(): number {
    return this.#attempts.size;
  }

  /** May an unstreamed answer, which can be long, still come? Also one that we gave up: old agents cannot be told. */
  get awaitsResult(): boolean {
    return this.#unstreamed;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    assert(!this.#attempts.has(job.attemptId), 'an attempt id is fresh');
    const attempt = new SwanAttempt(this, job, sink);
    this.#attempts.set(job.attemptId, attempt);
    if (!job.stream) this.#unstreamed = true;
    const refusal = this.#send(job);
    if (refusal) this.#clock.endOfTurn(() => attempt.turnAway(...refusal));
    return attempt;
  }

  #send(job: Job): Parameters<LinkAttempt['turnAway']> | undefined {
    if (this.#lost) return ['lost', 'provider-cut-off', 'the link is gone'];
    if (this.#transport.bufferedBytes > this.settings.requestBytesMaxNew) {
      return ['busy', 'providers-busy', 'the agent does not read'];
    }
    // A text message that is not UTF-8 would cost the agent its connection, and with it every stream of the node.
    if (job.operation !== 'audio/transcriptions' && !isUtf8(job.body)) {
      return ['refused', 'body-not-json', 'the body is not UTF-8'];
    }
    const frame = inferenceFrame(job, this.#node.nameOf(job.modelId));
    if (frame.length > this.#node.requestBytesMax()) {
      return ['refused', 'prompt-too-large-for-providers', 'larger than the agent can read'];
    }
    this.#transport.send(frame, true);
    return undefined;
  }

  stop(attempt: LinkAttempt, reason: StopReason): void {
    if (this.#lost || this.#node.generation() !== 'C') return;
    const id = attempt.job.attemptId;
    this.#transport.send(encodeMessage('cancel', id, { request_id: id, reason }));
    this.#transport.flush();
  }

  taken(): void {
    // This dialect has no credit to return.
  }

  release(attempt: LinkAttempt): void {
    (attempt as SwanAttempt).endWait?.cancel();
    if (!this.#attempts.delete(attempt.job.attemptId)) return;
    this.#recent.add(attempt.job.attemptId);
  }

  /** The link died: every attempt ends now. Answers how many there were. */
  lost(): number {
    this.#lost = true;
    const attempts = [...this.#attempts.values()];
    for (const attempt of attempts) attempt.happen('lost');
    return attempts.length;
  }

  /** Takes a message that one of our templates recognises (see `chunk-template.ts`); false when it must be read in full. */
  takeKnown(message: Buffer): boolean {
    // The agent writes the type and the id first. Where one does not, its messages are all read in full.
    const head = message.toString('latin1', 0, HEAD_BYTES);
    if (!head.startsWith(CHUNK_OPENING)) return false;
    const id = head.slice(CHUNK_OPENING.length, head.indexOf('"', CHUNK_OPENING.length));
    const attempt = this.#attempts.get(id);
    if (!attempt) {
      if (!this.#recent.has(id)) return false;
      this.counters.lateFrames += 1;
      return true;
    }
    const event = attempt.template?.event(message);
    if (event === undefined) return false;
    this.counters.chunks += 1;
    this.counters.chunksByTemplate += 1;
    attempt.content(event, 1, 1, attempt.template?.contentBytes ?? 0);
    return true;
  }

  /** A `stream_chunk`; `text` is the whole message. */
  chunk(message: Envelope, text: string): Ownership {
    const attempt = this.#find(message);
    if (typeof attempt === 'string') return attempt;
    this.counters.chunks += 1;
    const payload = message.payload as Record<string, unknown>;
    const chunk = payload['chunk'];
    if (typeof payload['error'] === 'string' && payload['error'] !== '') attempt.happen('trouble');
    else if (isFields(chunk)) this.#takeChunk(attempt, chunk, text);
    else if (chunk !== null && chunk !== undefined) this.counters.droppedChunks += 1;
    if (payload['done'] === true && attempt.phase !== 'ended') this.#mark(attempt);
    return 'known';
  }

  /**
   * The backend is through. An agent whose queue is full drops the end that should follow (Swan contract 1.6), and
   * the answer is there all the same.
   */
  #mark(attempt: SwanAttempt): void {
    attempt.mark();
    if (attempt.phase !== 'marked' || attempt.endWait) return;
    attempt.endWait = this.#clock.after(this.settings.endWaitMs, () => attempt.streamEnded());
  }

  #takeChunk(attempt: SwanAttempt, chunk: Record<string, unknown>, text: string): void {
    const { choices, usage } = chunk;
    if (isFields(usage)) attempt.usage = statedUsage(usage) ?? attempt.usage;
    if (Array.isArray(choices) && choices.length === 0) return;
    // Backends that fail in the middle of a stream say so in place of a chunk, and then end it as if all were well.
    if (choices === undefined && (isFields(chunk['error']) || chunk['object'] === 'error')) {
      attempt.happen('trouble');
      return;
    }
    const asText = attempt.job.operation === 'completions';
    const event = chunkEvent(attempt.head, asText ? textChunk(chunk) : chunk);
    if (!event) {
      this.counters.droppedChunks += 1;
      return;
    }
    if (event.finished) attempt.finished = true;
    else if (!asText && event.tokens === 1 && attempt.learnt < LEARN_TIMES_MAX) {
      attempt.learnt += 1;
      attempt.template = ChunkTemplate.learn(text, attempt.job.attemptId, attempt.head) ?? attempt.template;
    }
    attempt.content(Buffer.from(event.text), 1, event.tokens, event.contentBytes);
  }

  /** A `stream_end`: the one end of a stream. */
  streamEnd(message: Envelope): Ownership {
    const attempt = this.#find(message);
    if (typeof attempt === 'string') return attempt;
    const payload = message.payload as Record<string, unknown>;
    attempt.usage = lowerUsage(
      attempt.usage,
      statedTotals(payload['tokens_input'], payload['tokens_output']),
    );
    const text = typeof payload['error'] === 'string' ? payload['error'] : undefined;
    const status = payload['status_code'];
    if (text || !(status === undefined || status === null || status === 0 || status === 200)) {
      attempt.failed('end-error', status, text);
    } else attempt.streamEnded();
    return 'known';
  }

  /** An `ack`: the answer to an unstreamed request. */
  result(message: Envelope): Ownership {
    const attempt = this.#find(message);
    if (typeof attempt === 'string') return attempt;
    const payload = message.payload as Record<string, unknown>;
    const { response, error, status_code: status } = payload;
    if (typeof error === 'string' && error !== '') attempt.failed('result-error', status, error);
    else if (!isFields(response)) attempt.failed('result-error', status, undefined);
    else if (isFields(response['error'])) {
      const { code, message: text } = response['error'];
      attempt.failed('result-error', status || code, typeof text === 'string' ? text : undefined);
    } else this.#takeResult(attempt, response);
    return 'known';
  }

  #takeResult(attempt: SwanAttempt, response: Record<string, unknown>): void {
    const { job } = attempt;
    const own = ownAnswer(response, job, { byChat: job.operation === 'completions' });
    if (!own) return attempt.violate('the answer has not the shape that was asked for');
    attempt.usage = statedFor(own.answer, job.operation);
    attempt.answered(own.body, own.answer);
  }

  /** An `error` about one of our requests: the agent could not read it, which is not the request's fault. */
  agentError(message: Envelope): Ownership {
    const attempt = this.#find(message);
    if (typeof attempt === 'string') return attempt;
    attempt.failed(attempt.job.stream ? 'end-error' : 'result-error', 500, undefined);
    return 'known';
  }

  /** The attempt that a message is about, or why there is none. */
  #find(message: Envelope): SwanAttempt | Exclude<Ownership, 'known'> {
    const inside = isFields(message.payload) ? message.payload['request_id'] : undefined;
    const id = message.request_id ?? inside;
    if (typeof id !== 'string' || !isFields(message.payload)) return 'malformed';
    if (message.request_id !== undefined && typeof inside === 'string' && inside !== id) return 'malformed';
    const attempt = this.#attempts.get(id);
    if (attempt) return attempt;
    return this.#recent.has(id) ? 'late' : 'foreign';
  }
}

/** Whose frame it was: of an attempt under way here, of one that has ended here, of none that was ever here, or none at all. */
export type Ownership = 'known' | 'late' | 'foreign' | 'malformed';

const CHUNK_OPENING = '{"type":"stream_chunk","request_id":"';
/** The opening, an id of ours, and its closing quote. */
const HEAD_BYTES = 96;

/** What the registration says of the node; it may change while the link lives. */
export interface SwanNode {
  generation(): Generation;
  requestBytesMax(): number;
  /** The agent's own name of a model. */
  nameOf(modelId: string): string;
}

export interface SwanLinkParts {
  readonly id: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly counters: HubCounters;
  readonly settings: HubSettings;
  readonly occupancy: Occupancy;
  readonly node: SwanNode;
}
