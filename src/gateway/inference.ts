import type { Model } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { priceOf } from '#domain/price.ts';
import { NO_USAGE, type Usage } from '#domain/usage.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { DispatchEnd, Dispatcher, Order, PickNext, Run } from '#hub/dispatch.ts';
import type { Answer } from '#hub/link.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { UsageJournal } from '#ledger/ports.ts';
import type { Candidate } from '#routing/candidate.ts';
import { type ErrorCode, errorBody, errorRow } from '#wire/errors.ts';
import { billedUsage } from './bill.ts';
import { DeliveredText, envelopeBytes } from './delivered.ts';
import { type Ask, type Ceiling, type Endpoint, type TokenLimits, usageBody } from './endpoint.ts';
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

export interface InferenceSettings extends TokenLimits {
  /** The split policy new charges are made under. */
  readonly policy: string;
  /** How much of an answer is kept for counting its tokens exactly. */
  readonly recountBytesMax: number;
}

/** A caller whose key was accepted. `leave` must be called once, when the request is over. */
export interface Caller {
  readonly key: KeyRecord;
  readonly requestId: string;
  readonly acceptedMs: number;
  readonly leave: () => void;
  /** Taken already, where the caller has a limit of its own. */
  readonly rate?: RateVerdict;
  /** What a balance that does not suffice is called, where it is not the caller's. */
  readonly whenShort?: ErrorCode;
}

const NOBODY_TRIED: ReadonlySet<string> = new Set();
const DONE = Buffer.from('data: [DONE]\n\n');
const SMALLEST_DEFAULT_OUTPUT = 16;

/** Decides on the headers alone whether this caller may send a request. Throws a `Fault` (401, 429, 503). */
export function admit(rooms: InferenceRooms, authorization: string | undefined, requestId: string): Caller {
  const acceptedMs = rooms.clock.nowMs();
  return enter(rooms, consumerKey(rooms.keys, authorization), requestId, acceptedMs);
}

/** The consumer's key that a header carries. Throws a `Fault` (401). */
export function consumerKey(keys: InferenceRooms['keys'], authorization: string | undefined): KeyRecord {
  const secret = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (secret === undefined) throw new Fault('key-missing');
  const key = keys.find(secret);
  if (key === 'revoked') throw new Fault('key-revoked');
  if (typeof key === 'string') throw new Fault('key-unknown');
  if (key.kind !== 'consumer') throw new Fault('key-of-provider');
  return key;
}

/** Gives a caller whose key was accepted its place. Throws a `Fault` (429, 503). */
export function enter(
  rooms: InferenceRooms,
  key: KeyRecord,
  requestId: string,
  acceptedMs: number = rooms.clock.nowMs(),
): Caller {
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

/**
 * Serves one request. `read` is what the endpoint's reader says of `bytes`. Never throws: every failure becomes an answer.
 * Resolves when the request is over.
 */
export async function serve<A extends Ask>(
  rooms: InferenceRooms,
  endpoint: Endpoint<A>,
  caller: Caller,
  read: A | Fault | Promise<A | Fault>,
  bytes: Buffer,
  reply: Reply,
): Promise<void> {
  let rate: RateVerdict | undefined;
  try {
    const ask = read instanceof Promise ? await read : read;
    if (ask instanceof Fault) throw ask;
    const model = rooms.models.resolve(ask.model);
    if (!model?.active) throw new Fault('model-unknown', { param: 'model' });
    if (!endpoint.categories.has(model.category)) {
      throw new Fault('request-invalid', {
        outer: `${model.id} does not answer ${endpoint.name}.`,
        param: 'model',
      });
    }
    const misfit = endpoint.misfit?.(ask, model);
    if (misfit) throw new Fault('request-invalid', misfit);
    rate = caller.rate ?? rooms.limits.takeRequest(caller.key.id, model.category, rooms.clock.nowMs());
    if (!rate.allowed) throw overRate(rate, model.category);
    const job = new PaidJob(rooms, endpoint, caller, ask, model, rate, bytes, reply);
    if (rooms.isQuarantined(job.order)) throw new Fault('request-quarantined', { retryAfterS: 60 });
    const picked = rooms.pick(job.order, NOBODY_TRIED);
    if ('none' in picked) throw new Fault(picked.none, { retryAfterS: 5 });
    await job.hold();
    await job.serve(picked.candidate);
  } catch (error) {
    const fault = error instanceof Fault ? error : new Fault('internal', { cause: error });
    if (!(error instanceof Fault))
      rooms.log.error({ request: caller.requestId, err: error }, 'A request met a bug.');
    sendError(reply, fault, rate && rateHeaders(rate));
    logRefusal(rooms, caller, fault);
  } finally {
    caller.leave();
  }
}

/** One request from its hold to its last byte. */
class PaidJob<A extends Ask> {
  readonly order: Order;
  readonly #rooms: InferenceRooms;
  readonly #endpoint: Endpoint<A>;
  readonly #caller: Caller;
  readonly #ask: A;
  readonly #model: Model;
  readonly #rate: RateVerdict;
  readonly #reply: Reply;
  readonly #ceiling: Ceiling;
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
  #answer: Answer | undefined;
  #mode: 'websocket' | 'external' = 'websocket';
  #left = false;

  constructor(
    rooms: InferenceRooms,
    endpoint: Endpoint<A>,
    caller: Caller,
    ask: A,
    model: Model,
    rate: RateVerdict,
    bytes: Buffer,
    reply: Reply,
  ) {
    this.#rooms = rooms;
    this.#endpoint = endpoint;
    this.#caller = caller;
    this.#ask = ask;
    this.#model = model;
    this.#rate = rate;
    this.#reply = reply;
    this.#ceiling = endpoint.ceiling(ask, model, rooms.settings);
    this.#outputCeiling = this.#ceiling.outputTokens;
    const set: Record<string, unknown> = endpoint.set?.(ask) ?? {};
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
      operation: endpoint.operation,
      needs: endpoint.needs(ask),
      expects: endpoint.expects(ask),
      stream: ask.stream,
      body: endpoint.body(ask, bytes),
      set,
    };
  }

  /** Sets aside the most this can cost. Throws 402 or 503. Without a limit of the caller's, what the balance buys. */
  async hold(): Promise<void> {
    const { holds } = this.#rooms;
    const { consumerId } = this;
    const asked = this.#ask.maxTokens !== undefined || this.#outputCeiling === 0;
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
      if (asked || this.#outputCeiling <= floor) {
        throw new Fault(this.#caller.whenShort ?? 'balance-short');
      }
      this.#outputCeiling = Math.max(floor, Math.floor(this.#outputCeiling / 4));
    }
    // A limit that the caller did not set is ours to set, or the answer could cost more than is held.
    const perChoice = Math.floor(this.#outputCeiling / this.#ask.n);
    if (this.#ask.maxTokens !== perChoice && perChoice > 0)
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
        result: (body, answer) => {
          this.#result = body;
          this.#answer = answer;
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
    if (this.#answer) {
      this.#contentBytes = this.#endpoint.contentBytes(this.#answer);
      this.#tokens = this.#contentBytes;
      this.#events = 1;
      this.#bytes = this.#result?.length ?? 0;
    }
    // An unstreamed answer that the consumer did not wait for was never passed on.
    const nothingPassed = end.outcome === 'cancelled' && !this.#ask.stream;
    const usage = delivered && !nothingPassed ? this.#billedUsage(end) : NO_USAGE;
    const record = this.#recordOf(end, usage);
    try {
      await this.#rooms.journal.append({ kind: 'usage', record });
    } catch (error) {
      this.#rooms.holds.release(this.consumerId, this.#reserved);
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

  #billedUsage(end: DispatchEnd): Usage {
    const tokens = billedUsage({
      stated: end.usage,
      cutShort: end.outcome === 'cancelled',
      passedTokens: this.#tokens,
      passedContentBytes: this.#contentBytes,
      inputCeiling: this.#ceiling.inputTokens,
      promptBytes: this.#ask.promptBytes,
      outputCeiling: this.#outputCeiling,
    });
    const pieces = this.#answer && this.#endpoint.pieces?.(this.#ask, this.#answer);
    return pieces ? { ...tokens, ...pieces } : tokens;
  }

  #answerWhole(usage: Usage): void {
    if (!this.#ask.stream) {
      const answer = this.#answer as Answer;
      const body = this.#result as Buffer;
      const rendered = this.#endpoint.render({ ask: this.#ask, answer, body, usage });
      this.#reply.send(200, ['content-type', rendered.type, ...this.#commonHeaders()], rendered.body);
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

  #usageEvent(usage: Usage): Buffer {
    const { completionId, createdS, modelId } = this.order;
    const event = {
      id: completionId,
      object: this.#endpoint.chunkObject,
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
      operation: this.#endpoint.operation,
      providerId: candidate?.providerId ?? null,
      nodeId: candidate?.nodeId ?? null,
      attemptId: end.attemptId ?? null,
      mode: candidate?.mode ?? null,
      streamed: this.#ask.stream,
      outcome: end.outcome,
      errorCode: end.outcome === 'completed' ? null : (end.errorCode ?? (this.#left ? 'client-left' : null)),
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      units: usage.units ?? 0,
      seconds: usage.seconds ?? 0,
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
      answer: this.#answer ? JSON.stringify(this.#answer) : text,
    });
  }

  #costCeiling(): Pico {
    return priceOf({ ...this.#ceiling, outputTokens: this.#outputCeiling }, this.#model.price);
  }

  #sinceAccepted(): number {
    return Math.round((this.#rooms.clock.nowMs() - this.#caller.acceptedMs) * 1000) / 1000;
  }

  #commonHeaders(): Headers {
    return ['x-swan-connection-mode', this.#mode, ...rateHeaders(this.#rate)];
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
        operation: record.operation,
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

function rateHeaders({ limit, remaining, resetS }: RateVerdict): string[] {
  return [
    'x-ratelimit-limit',
    String(limit),
    'x-ratelimit-remaining',
    String(remaining),
    'x-ratelimit-reset',
    String(resetS),
  ];
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
