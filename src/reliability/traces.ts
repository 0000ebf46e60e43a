import { request } from 'undici';
import type { Try } from '#domain/serving.ts';
import { spanIdOf, type Trace } from '#domain/trace.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Sealed } from '#kit/sealed.ts';

/**
 * Traces for an OpenTelemetry collector: a span for each request and one for each of its attempts, sent as OTLP in JSON. They
 * are made from the usage record when a request is over, so tracing costs serving one call, and nothing where it is off.
 * A span has ids, names, counts and durations; there is no word of a prompt, no key and no consumer in it.
 *
 * Sending never holds anything up: what waits is bounded, and what does not fit is dropped and counted. A batch that the
 * collector does not take is dropped too: a trace is worth less than the memory of a collector's bad day.
 */
const SEND_EVERY_MS = 2_000;
const WAITING_MAX = 4_096;
const BATCH_MAX = 512;
const SEND_WITHIN_MS = 5_000;

export interface TraceSettings {
  /** Where the collector is, without `/v1/traces`. */
  readonly url: string;
  /** Sent as `Authorization`. */
  readonly authorization: Sealed<string> | undefined;
}

interface Seen {
  readonly record: UsageRecord;
  readonly trace: Trace;
}

export class Traces {
  readonly #settings: TraceSettings;
  readonly #log: Logger;
  readonly #rounds: Rounds;
  #waiting: Seen[] = [];
  #dropped = 0;

  constructor(parts: { settings: TraceSettings; clock: Clock; log: Logger }) {
    this.#settings = parts.settings;
    this.#log = parts.log;
    this.#rounds = new Rounds(parts.clock, {
      periodMs: SEND_EVERY_MS,
      work: () => this.flush(),
      failed: (error) => this.#failed(error),
    });
  }

  /** Requests whose spans were dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  note(record: UsageRecord, trace: Trace): void {
    if (this.#waiting.length >= WAITING_MAX) this.#dropped += 1;
    else this.#waiting.push({ record, trace });
  }

  /** Sends what waits. Throws when the collector does not take it. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      try {
        // oxlint-disable-next-line no-await-in-loop -- one batch after the other.
        await this.#send(batch);
      } catch (error) {
        this.#dropped += batch.length;
        throw error;
      }
    }
  }

  async close(): Promise<void> {
    await this.#rounds.close();
    await this.flush().catch((error: unknown) => this.#failed(error));
  }

  async #send(batch: readonly Seen[]): Promise<void> {
    const { url, authorization } = this.#settings;
    const answer = await request(`${url}/v1/traces`, {
      method: 'POST',
      signal: AbortSignal.timeout(SEND_WITHIN_MS),
      headers: {
        'content-type': 'application/json',
        ...(authorization && { authorization: authorization.open() }),
      },
      body: JSON.stringify(otlp(batch.flatMap(spansOf))),
    });
    answer.body.on('error', () => {});
    answer.body.destroy();
    if (answer.statusCode < 200 || answer.statusCode > 299)
      throw new Error(`The collector answered with status ${answer.statusCode}.`);
  }

  #failed(error: unknown): void {
    this.#log.warn({ err: error, dropped: this.#dropped }, 'Traces could not be sent; they are dropped.');
  }
}

type Value = string | number | boolean | null | undefined;

const OK = 1;
const ERROR = 2;
const SERVER = 2;
const CLIENT = 3;

function spansOf({ record, trace }: Seen): unknown[] {
  const { serving } = record;
  const startMs = record.at - record.totalMs;
  const span = spanIdOf(record.id);
  const failed = record.outcome === 'broken' || record.outcome === 'failed';
  return [
    {
      traceId: trace.traceId,
      spanId: span,
      ...(trace.parentId !== undefined && { parentSpanId: trace.parentId }),
      name: record.operation,
      kind: SERVER,
      startTimeUnixNano: nano(startMs),
      endTimeUnixNano: nano(record.at),
      attributes: attributes({
        'cygnet.request': record.id,
        'gen_ai.operation.name': record.operation,
        'gen_ai.request.model': record.modelId,
        'gen_ai.usage.input_tokens': record.inputTokens,
        'gen_ai.usage.output_tokens': record.outputTokens,
        'cygnet.tier': serving?.tier,
        'cygnet.queue_ms': serving?.queueMs,
        'cygnet.ttft_ms': record.ttftMs,
        'cygnet.outcome': record.outcome,
        'cygnet.at_fault': serving?.whose,
        'cygnet.fallback': serving?.fallback,
        'cygnet.streamed': record.streamed,
        'error.type': record.errorCode,
      }),
      status: { code: failed ? ERROR : OK },
    },
    ...(serving?.tries ?? []).map((each) =>
      attemptSpan(each, { traceId: trace.traceId, parent: span, startMs }),
    ),
  ];
}

function attemptSpan(each: Try, about: { traceId: string; parent: string; startMs: number }): unknown {
  const beganMs = about.startMs + each.startedMs;
  return {
    traceId: about.traceId,
    spanId: spanIdOf(each.attemptId),
    parentSpanId: about.parent,
    name: 'attempt',
    kind: CLIENT,
    startTimeUnixNano: nano(beganMs),
    endTimeUnixNano: nano(beganMs + each.tookMs),
    attributes: attributes({
      'cygnet.attempt': each.attemptId,
      'gen_ai.request.model': each.modelId,
      'cygnet.provider': each.providerId,
      'cygnet.node': each.nodeId,
      'cygnet.region': each.region,
      'cygnet.mode': each.mode,
      'cygnet.result': each.result,
    }),
    status: { code: each.result === 'served' || each.result === 'left' ? OK : ERROR },
  };
}

function otlp(spans: unknown[]): unknown {
  const resource = { attributes: attributes({ 'service.name': 'cygnet' }) };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'cygnet' }, spans }] }] };
}

/** Nanoseconds since 1970, in the decimal text that JSON of OTLP has for them. */
function nano(wallMs: number): string {
  return BigInt(Math.round(wallMs * 1_000))
    .toString()
    .concat('000');
}

function attributes(all: Record<string, Value>): unknown[] {
  return Object.entries(all).flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

function anyValue(value: string | number | boolean): unknown {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
