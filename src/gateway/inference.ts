import type { Model } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { priceOf } from '#domain/price.ts';
import { NO_USAGE, type Usage } from '#domain/usage.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { DispatchEnd, Dispatcher, Order, PickNext, Run } from '#hub/dispatch.ts';
import type { Completion } from '#hub/link.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { RecordInDoubt, type UsageJournal } from '#ledger/ports.ts';
import type { Candidate } from '#routing/candidate.ts';
import { errorBody, errorRow } from '#wire/errors.ts';
import { billedUsage, inputCeiling } from './bill.ts';
import { type ChatRequest, rewriteBody } from './body.ts';
import { contentBytesOf, DeliveredText, envelopeBytes } from './delivered.ts';
import type { Limits, RateVerdict } from './limits.ts';
import type { RecountJob } from './recount.ts';
import type { Headers, Reply } from './reply.ts';
import { sendError } from './send-error.ts';

/**
 * The journey of every paid request, in order, each refusal beside its step:
 *
 *     key (401, before the body is read) · place among the key's requests (429) · body (400, 413) · model (404) ·
 *     rate (429) · somebody who could serve (503) · hold (402) · dispatch · relay · usage durable · last byte
 *
 * Nothing between the key and the first token waits for a disk or a database, except a hold that outgrows what this
 * process has set aside for the consumer.
 *
 * Money: the hold is the most the request can cost. The charge follows from what was delivered (`bill.ts`), is never
 * more than the hold, and is in the journal before the consumer sees the end of the answer. An answer that the provider
 * broke costs nothing; one that the consumer left is charged for what was passed on. If the process dies in between, the
 * consumer was not told that the answer is complete, nothing is charged, and the hold dissolves with the lease.
 */
export interface InferenceRooms {
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly settings: InferenceSettings;
  readonly keys: { find(secret: string): KeyRecord | 'unknown' | 'malformed' | 'revoked' };
  readonly models: { resolve(name: string): Model | undefined };
  readonly limits: Limits;
  readonly holds: Holds;
  readonly journal: UsageJournal;
  readonly dispatcher: Dispatcher;
  readonly readBody: (bytes: Buffer) => ChatRequest | Fault | Promise<ChatRequest | Fault>;
  /** Who should serve this first; the code of the refusal when nobody can. */
  readonly pick: PickNext;
  readonly isQuarantined: (order: Order) => boolean;
  readonly recounter: { has(modelId: string): boolean; submit(job: RecountJob): void };
  /** Told of each request that reached a provider, once, when it is over. */
  readonly served: (record: UsageRecord, candidate: Candidate | undefined) => void;
}

/** The part of the hold book that serving needs (`ledger/holds.ts`). */
export interface Holds {
  reserve(consumerId: string, amount: Pico): true | Promise<true | 'short' | 'unavailable'>;
  settle(consumerId: string, reserved: Pico, charged: Pico): void;
  release(consumerId: string, reserved: Pico): void;
}

export interface InferenceSettings {
  /** The split policy new charges are made under. */
  readonly policy: string;
  readonly outputTokensMax: number;
  readonly inputTokensMax: number;
  /** Without a limit of its own, an answer is held for at most this many tokens. */
  readonly outputTokensDefault: number;
  /** How much of an answer is kept for counting its tokens exactly. */
  readonly recountBytesMax: number;
}

/** A caller whose key was accepted. `leave` must be called once, when the request is over. */
export interface Caller {
  readonly key: KeyRecord;
  readonly requestId: string;
  readonly acceptedMs: number;
  readonly leave: () => void;
}

const NOBODY_TRIED: ReadonlySet<string> = new Set();
const DONE = Buffer.from('data: [DONE]\n\n');
const SMALLEST_DEFAULT_OUTPUT = 16;

/** Decides on the headers alone whether this caller may send a request. Throws a `Fault` (401, 429, 503). */
export function admit(rooms: InferenceRooms, authorization: string | undefined, requestId: string): Caller {
  const acceptedMs = rooms.clock.nowMs();
  const secret = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (secret === undefined) throw new Fault('key-missing');
  const key = rooms.keys.find(secret);
  if (key === 'revoked') throw new Fault('key-revoked');
  if (typeof key === 'string') throw new Fault('key-unknown');
  if (key.kind !== 'consumer') throw new Fault('key-of-provider');
  if (!rooms.journal.healthy)
    throw new Fault('ledger-unavailable', { inner: 'journal unhealthy', retryAfterS: 5 });
  if (!rooms.limits.enter(key.id)) throw new Fault('too-many-at-once', { retryAfterS: 1 });
  let inside = true;
  return {
    key,
    requestId,
    acceptedMs,
    leave: () => {
      if (inside) rooms.limits.leave(key.id);
      inside = false;
    },
  };
}

/** Serves one chat completion. Never throws: every failure becomes an answer. Resolves when the request is over. */
export async function serveChat(
  rooms: InferenceRooms,
  caller: Caller,
  bytes: Buffer,
  reply: Reply,
): Promise<void> {
  try {
    const read = rooms.readBody(bytes);
    const ask = read instanceof Promise ? await read : read;
    if (ask instanceof Fault) throw ask;
    const model = rooms.models.resolve(ask.model);
    if (!model?.active) throw new Fault('model-unknown', { param: 'model' });
    if (model.price.unit !== 'token' || model.maxOutputTokens === null) {
      throw new Fault('request-invalid', {
        outer: `${model.id} does not answer chat completions.`,
        param: 'model',
      });
    }
    const rate = rooms.limits.takeRequest(caller.key.id, model.category, rooms.clock.nowMs());
    if (!rate.allowed) throw overRate(rate, model.category);
    const job = new PaidJob(rooms, caller, ask, model, rate, bytes, reply);
    if (rooms.isQuarantined(job.order)) throw new Fault('request-quarantined', { retryAfterS: 60 });
    const picked = rooms.pick(job.order, NOBODY_TRIED);
    if ('none' in picked) throw new Fault(picked.none, { retryAfterS: 5 });
    await job.hold();
    await job.serve(picked.candidate);
  } catch (error) {
    const fault = error instanceof Fault ? error : new Fault('internal', { cause: error });
    if (!(error instanceof Fault))
      rooms.log.error({ request: caller.requestId, err: error }, 'A request met a bug.');
    sendError(reply, fault);
    logRefusal(rooms, caller, fault);
  } finally {
    caller.leave();
  }
}

/** One request from its hold to its last byte. */
class PaidJob {
  readonly order: Order;
  readonly #rooms: InferenceRooms;
  readonly #caller: Caller;
  readonly #ask: ChatRequest;
  readonly #model: Model;
  readonly #rate: RateVerdict;
  readonly #reply: Reply;
  readonly #inputCeiling: number;
  readonly #envelopeBytes: number;
  readonly #text: DeliveredText | undefined;
  #outputCeiling: number;
  #reserved: Pico = 0n;
  #run: Run | undefined;
  #firstMs: number | undefined;
  #events = 0;
  #bytes = 0;
  #tokens = 0;
  #contentBytes = 0;
  #unconsumed = 0;
  #result: Buffer | undefined;
  #completion: Completion | undefined;
  #mode: 'websocket' | 'external' = 'websocket';
  #left = false;

  constructor(
    rooms: InferenceRooms,
    caller: Caller,
    ask: ChatRequest,
    model: Model,
    rate: RateVerdict,
    bytes: Buffer,
    reply: Reply,
  ) {
    this.#rooms = rooms;
    this.#caller = caller;
    this.#ask = ask;
    this.#model = model;
    this.#rate = rate;
    this.#reply = reply;
    this.#inputCeiling = inputCeiling(ask.promptBytes, ask.messageCount, model.contextTokens);
    const longest = Math.min(model.maxOutputTokens ?? 0, rooms.settings.outputTokensMax);
    this.#outputCeiling = Math.min(ask.maxTokens ?? rooms.settings.outputTokensDefault, longest) * ask.n;
    const set: Record<string, unknown> = {};
    if (ask.model !== model.id) set['model'] = model.id;
    const completionId = `chatcmpl-${caller.requestId.slice(4)}`;
    this.#envelopeBytes = envelopeBytes(completionId, model.id);
    this.#text = rooms.recounter.has(model.id)
      ? new DeliveredText(rooms.settings.recountBytesMax)
      : undefined;
    this.order = {
      requestId: caller.requestId,
      consumerId: caller.key.ownerId,
      modelId: model.id,
      completionId,
      createdS: Math.floor(rooms.clock.wallMs() / 1000),
      stream: ask.stream,
      body: ask.needsRewrite ? rewriteBody(bytes) : bytes,
      set,
    };
  }

  /** Sets aside the most this can cost. Throws 402 or 503. Without a limit of the caller's, what the balance buys. */
  async hold(): Promise<void> {
    const { holds } = this.#rooms;
    const { consumerId } = this;
    const asked = this.#ask.maxTokens !== undefined;
    const floor = SMALLEST_DEFAULT_OUTPUT * this.#ask.n;
    for (;;) {
      const ceiling = this.#costCeiling();
      const answer = holds.reserve(consumerId, ceiling);
      const verdict = answer === true ? true : await answer;
      if (verdict === true) {
        this.#reserved = ceiling;
        break;
      }
      if (verdict === 'unavailable')
        throw new Fault('ledger-unavailable', { inner: 'no lease', retryAfterS: 2 });
      if (asked || this.#outputCeiling <= floor) throw new Fault('balance-short');
      this.#outputCeiling = Math.max(floor, Math.floor(this.#outputCeiling / 4));
    }
    // A limit that the caller did not set is ours to set, or the answer could cost more than is held.
    const perChoice = Math.floor(this.#outputCeiling / this.#ask.n);
    if (this.#ask.maxTokens !== perChoice)
      (this.order.set as Record<string, unknown>)['max_tokens'] = perChoice;
  }

  get consumerId(): string {
    return this.#caller.key.ownerId;
  }

  /** Dispatches and relays. Resolves when the request is over, charged and answered. */
  serve(first: Candidate): Promise<void> {
    if (this.#reply.gone) {
      this.#rooms.holds.release(this.consumerId, this.#reserved);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#reply.onGone = () => {
        this.#left = true;
        this.#run?.cancel();
      };
      this.#reply.onDrained = () => this.#consume(0);
      this.#run = this.#rooms.dispatcher.run(this.order, first, {
        began: (candidate) => {
          this.#mode = candidate.mode;
        },
        data: (events, eventCount, tokenCount) => this.#relay(events, eventCount, tokenCount),
        result: (body, completion) => {
          this.#result = body;
          this.#completion = completion;
          this.#firstMs = this.#sinceAccepted();
        },
        ended: (end) => {
          this.#end(end).then(resolve, (error) => {
            this.#rooms.log.error(
              { request: this.#caller.requestId, err: error },
              'The end of a request met a bug.',
            );
            resolve();
          });
        },
      });
    });
  }

  #relay(events: Buffer, eventCount: number, tokenCount: number): void {
    if (this.#firstMs === undefined) {
      this.#firstMs = this.#sinceAccepted();
      this.#reply.open(200, [...STREAM_HEADERS, ...this.#commonHeaders()]);
    }
    this.#events += eventCount;
    this.#tokens += tokenCount;
    this.#bytes += events.length;
    this.#contentBytes += Math.max(0, events.length - eventCount * this.#envelopeBytes);
    this.#text?.add(events);
    this.#reply.write(events);
    this.#consume(events.length);
  }

  /** Returns credit for what the consumer took; holds it back while the consumer does not keep up. */
  #consume(bytes: number): void {
    this.#unconsumed += bytes;
    if (this.#reply.congested || this.#unconsumed === 0) return;
    this.#run?.consumed(this.#unconsumed);
    this.#unconsumed = 0;
  }

  async #end(end: DispatchEnd): Promise<void> {
    const delivered = end.outcome === 'completed' || end.outcome === 'cancelled';
    if (this.#completion) {
      this.#contentBytes = contentBytesOf(this.#completion);
      this.#tokens = this.#contentBytes;
      this.#events = 1;
      this.#bytes = this.#result?.length ?? 0;
    }
    // An unstreamed answer that the consumer did not wait for was never passed on.
    const nothingPassed = end.outcome === 'cancelled' && !this.#ask.stream;
    const usage =
      delivered && !nothingPassed
        ? billedUsage({
            stated: end.usage,
            cutShort: end.outcome === 'cancelled',
            passedTokens: this.#tokens,
            passedContentBytes: this.#contentBytes,
            inputCeiling: this.#inputCeiling,
            promptBytes: this.#ask.promptBytes,
            outputCeiling: this.#outputCeiling,
          })
        : NO_USAGE;
    const record = this.#recordOf(end, usage);
    try {
      await this.#rooms.journal.append({ kind: 'usage', record });
    } catch (error) {
      // If the next life finds the record, it must find its money too: the hold stays, and dissolves with the lease.
      if (!(error instanceof RecordInDoubt)) this.#rooms.holds.release(this.consumerId, this.#reserved);
      this.#rooms.log.error({ request: record.id, err: error }, 'The usage of a request could not be kept.');
      this.#answerFailure('ledger-unavailable');
      return;
    }
    this.#rooms.holds.settle(this.consumerId, this.#reserved, record.charge);
    this.#rooms.served(record, end.candidate);
    this.#logServed(record);
    if (end.outcome === 'completed') this.#answerWhole(usage);
    else if (!this.#left) this.#answerFailure(end.errorCode ?? 'provider-failed');
    if (record.charge > 0n && this.#text) this.#submitRecount(record);
  }

  #answerWhole(usage: Usage): void {
    if (!this.#ask.stream) {
      const headers = ['content-type', 'application/json', ...this.#commonHeaders()];
      this.#reply.send(200, headers, this.#billedResult(usage));
      return;
    }
    if (this.#ask.includeUsage) this.#reply.write(this.#usageEvent(usage));
    this.#reply.write(DONE);
    this.#reply.finish();
  }

  #answerFailure(code: string): void {
    if (this.#firstMs === undefined || !this.#ask.stream) {
      const row = errorRow(code);
      sendError(
        this.#reply,
        new Fault(code, row.status === 503 ? { retryAfterS: 5 } : {}),
        this.#commonHeaders(),
      );
      return;
    }
    this.#reply.write(Buffer.from(`event: error\ndata: ${JSON.stringify(errorBody(code))}\n\n`));
    this.#reply.finish();
  }

  /** The unstreamed answer, stating the usage that is billed. The bytes pass untouched when they already do. */
  #billedResult(usage: Usage): Buffer {
    const completion = this.#completion as Completion;
    const stated = completion.usage as
      | { prompt_tokens?: unknown; completion_tokens?: unknown }
      | null
      | undefined;
    const agrees =
      stated?.prompt_tokens === usage.inputTokens && stated.completion_tokens === usage.outputTokens;
    if (agrees) return this.#result as Buffer;
    return Buffer.from(JSON.stringify({ ...completion, usage: usageBody(usage) }));
  }

  #usageEvent(usage: Usage): Buffer {
    const { completionId, createdS, modelId } = this.order;
    const event = {
      id: completionId,
      object: 'chat.completion.chunk',
      created: createdS,
      model: modelId,
      choices: [],
      usage: usageBody(usage),
    };
    return Buffer.from(`data: ${JSON.stringify(event)}\n\n`);
  }

  #recordOf(end: DispatchEnd, usage: Usage): UsageRecord {
    const { key, requestId } = this.#caller;
    const { candidate } = end;
    const cost = priceOf(usage, this.#model.price);
    return {
      id: requestId,
      at: this.#rooms.clock.wallMs(),
      consumerId: key.ownerId,
      keyId: key.id,
      modelId: this.#model.id,
      providerId: candidate?.providerId ?? null,
      nodeId: candidate?.nodeId ?? null,
      attemptId: end.attemptId ?? null,
      mode: candidate?.mode ?? null,
      streamed: this.#ask.stream,
      outcome: end.outcome,
      errorCode: end.outcome === 'completed' ? null : (end.errorCode ?? (this.#left ? 'client-left' : null)),
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      claimedInputTokens: end.usage?.inputTokens ?? null,
      claimedOutputTokens: end.usage?.outputTokens ?? null,
      events: this.#events,
      bytes: this.#bytes,
      attempts: end.attempts,
      ttftMs: this.#firstMs ?? null,
      totalMs: this.#sinceAccepted(),
      priceId: this.#model.price.id,
      policy: this.#rooms.settings.policy,
      charge: cost < this.#reserved ? cost : this.#reserved,
    };
  }

  #submitRecount(record: UsageRecord): void {
    const text = this.#text as DeliveredText;
    this.#rooms.recounter.submit({
      record,
      price: this.#model.price,
      body: this.order.body,
      answer: this.#completion ? JSON.stringify(this.#completion) : text,
    });
  }

  #costCeiling(): Pico {
    return priceOf({ inputTokens: this.#inputCeiling, outputTokens: this.#outputCeiling }, this.#model.price);
  }

  #sinceAccepted(): number {
    return Math.round((this.#rooms.clock.nowMs() - this.#caller.acceptedMs) * 1000) / 1000;
  }

  #commonHeaders(): Headers {
    const { limit, remaining, resetS } = this.#rate;
    return [
      'x-swan-connection-mode',
      this.#mode,
      'x-ratelimit-limit',
      String(limit),
      'x-ratelimit-remaining',
      String(remaining),
      'x-ratelimit-reset',
      String(resetS),
    ];
  }

  #logServed(record: UsageRecord): void {
    this.#rooms.log.info(
      {
        request: record.id,
        consumer: record.consumerId,
        key: record.keyId,
        model: record.modelId,
        provider: record.providerId,
        outcome: record.outcome,
        code: record.errorCode,
        attempts: record.attempts,
        ttftMs: record.ttftMs,
        totalMs: record.totalMs,
        inputTokens: record.inputTokens,
        outputTokens: record.outputTokens,
        chargePico: record.charge.toString(),
      },
      'A request was served.',
    );
  }
}

const STREAM_HEADERS: Headers = [
  'content-type',
  'text/event-stream; charset=utf-8',
  'cache-control',
  'no-cache',
  'x-accel-buffering',
  'no',
];

function usageBody(usage: Usage): Record<string, number> {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}

function overRate(rate: RateVerdict, category: string): Fault {
  return new Fault('rate-limited', {
    outer: `Over ${rate.limit} requests a minute for ${category} models with this key.`,
    retryAfterS: rate.retryAfterS,
  });
}

function logRefusal(rooms: InferenceRooms, caller: Caller, fault: Fault): void {
  rooms.log.info(
    { request: caller.requestId, key: caller.key.id, code: fault.code, inner: fault.message },
    'A request was refused.',
  );
}
