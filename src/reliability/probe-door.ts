import { timingSafeEqual } from 'node:crypto';
import { Agent, request } from 'undici';
import { PROBER } from '#domain/prober.ts';
import { type Clock, pause } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { SseReader } from '#kit/sse-reader.ts';
import type { ProbeAnswer, ProbeQuestion } from './probe-check.ts';

/** Names the one candidate that is meant. It is read for the prober's key alone. */
export const PROBE_HEADER = 'x-cygnet-probe';

/** Longer than a probe may take, so that being late and being gone look the same only at the very end. */
const ANSWER_MS_MAX = 45_000;
/** Longer than any other key's, so that one glance tells them apart. */
const SECRET_BYTES = 48;
const EVENT_BYTES_MAX = 1_048_576;
const TEXT_CHARS_MAX = 10_000;
/** Three vectors of 8,192 numbers, written long. */
const VECTORS_BYTES_MAX = 1_048_576;
/** One text twice in a batch comes out a little different on a GPU; another text, far more. */
const ALIKE_FROM = 0.999;

/** What is asked at the door; `logprobs`: and how likely each token was. */
export interface DoorQuestion {
  readonly prompt: string;
  readonly outputTokensMax: number;
  readonly logprobs?: boolean;
}

/**
 * Asks through the market's own public door, as a client would: a socket, a key, a stream. The key's secret is made for this
 * process and is known only here and to the lookup of keys (`knows`).
 */
export class ProbeDoor {
  readonly #clock: Clock;
  readonly #secret: Sealed<string>;
  // Whoever listens at our own port is us; its certificate is for the name that others call.
  readonly #agent = new Agent({ connect: { rejectUnauthorized: false, timeout: 5_000 } });
  #origin: string | undefined;

  constructor(parts: { clock: Clock; random: Randomness }) {
    this.#clock = parts.clock;
    this.#secret = new Sealed(`sk-swan-${parts.random.bytes(SECRET_BYTES).toString('base64url')}`);
  }

  /** The door is open. `host` is where the market listens. */
  opened(door: { host: string; port: number; tls: boolean }): void {
    const any: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' };
    const host = any[door.host] ?? (door.host.includes(':') ? `[${door.host}]` : door.host);
    this.#origin = `${door.tls ? 'https' : 'http'}://${host}:${door.port}`;
  }

  /** The prober's record, where `secret` is its key's. */
  knows(secret: string): typeof PROBER | undefined {
    const ours = this.#secret.open();
    if (secret.length !== ours.length) return undefined;
    const given = Buffer.from(secret);
    const same = given.length === ours.length && timingSafeEqual(given, Buffer.from(ours));
    return same ? PROBER : undefined;
  }

  /** Asks, and answers what came. Never rejects. `to` names the one candidate that is meant. */
  async ask(modelId: string, question: DoorQuestion, to?: string): Promise<ProbeAnswer> {
    let first: ProbeAnswer['first'];
    const body = {
      model: modelId,
      messages: [{ role: 'user', content: question.prompt }],
      max_tokens: question.outputTokensMax,
      temperature: 0,
      stream: true,
      ...(question.logprobs === true && { logprobs: true }),
    };
    const answer = await this.#post(
      { path: '/v1/chat/completions', body, to },
      async (pieces, so, sinceMs) => {
        const reader = new SseReader(
          (data) => {
            const event = eventOf(data);
            if (event.code !== undefined) so.code = event.code;
            first ??= event.first;
            if (event.text === '' || so.text.length > TEXT_CHARS_MAX) return;
            so.ttftMs ??= sinceMs();
            so.text += event.text;
          },
          { eventBytesMax: EVENT_BYTES_MAX },
        );
        for await (const piece of pieces) if (!reader.push(piece)) break;
      },
    );
    return { ...answer, first };
  }

  /**
   * The same of a model that makes vectors: the prompt is sent twice and another text once. Where the two are alike and the third is
   * not, the answer's text is the word that was asked for, as of somebody who said it right.
   */
  async askVectors(modelId: string, question: ProbeQuestion, to?: string): Promise<ProbeAnswer> {
    const input = [question.prompt, question.word, question.prompt];
    const body = { model: modelId, input, encoding_format: 'float' };
    return await this.#post({ path: '/v1/embeddings', body, to }, async (pieces, so, sinceMs) => {
      const read: Buffer[] = [];
      let bytes = 0;
      for await (const piece of pieces) {
        so.ttftMs ??= sinceMs();
        read.push(piece);
        bytes += piece.length;
        if (bytes > VECTORS_BYTES_MAX) break;
      }
      so.text = sayWhetherAlike(Buffer.concat(read).toString()) ? question.word : 'not the same vector twice';
    });
  }

  async #post(
    { path, body, to }: { path: string; body: object; to: string | undefined },
    read: (pieces: AsyncIterable<Buffer>, so: Begun, sinceMs: () => number) => Promise<void>,
  ): Promise<ProbeAnswer> {
    const beganMs = this.#clock.nowMs();
    const late = new AbortController();
    const over = new AbortController();
    void pause(this.#clock, ANSWER_MS_MAX, over.signal).then(() => late.abort());
    const answer: Begun = { status: 0, code: null, text: '', ttftMs: null };
    const sinceMs = (): number => this.#clock.nowMs() - beganMs;
    try {
      const response = await request(`${this.#origin}${path}`, {
        method: 'POST',
        dispatcher: this.#agent,
        signal: late.signal,
        headers: {
          authorization: `Bearer ${this.#secret.open()}`,
          'content-type': 'application/json',
          ...(to !== undefined && { [PROBE_HEADER]: to }),
        },
        body: JSON.stringify(body),
      });
      answer.status = response.statusCode;
      if (response.statusCode === 200) await read(response.body as AsyncIterable<Buffer>, answer, sinceMs);
      else answer.code = codeOf((await response.body.text()).slice(0, TEXT_CHARS_MAX)) ?? 'unreadable';
    } catch {
      // Late, cut off or not there: the status says which.
      if (answer.status === 200) answer.code = 'cut_off';
    } finally {
      over.abort();
      late.abort();
    }
    return { ...answer, ttltMs: sinceMs() };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** An answer while it comes. */
interface Begun {
  status: number;
  code: string | null;
  text: string;
  ttftMs: number | null;
}

/** Of an answer to three texts, the first and the last of them the same: are their vectors, and is the one between another? */
function sayWhetherAlike(body: string): boolean {
  let data: unknown;
  try {
    ({ data } = JSON.parse(body) as { data?: unknown });
  } catch {
    return false;
  }
  if (!Array.isArray(data) || data.length !== 3) return false;
  const [one, other, again] = data.map((each: { embedding?: unknown } | null) => each?.embedding);
  if (!isVector(one) || !isVector(other) || !isVector(again)) return false;
  return cosineOf(one, again) > ALIKE_FROM && cosineOf(one, other) < ALIKE_FROM;
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => Number.isFinite(each));
}

/** Of vectors of two lengths, and of one without direction, none: not alike to anything, itself included. */
function cosineOf(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.NaN;
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, each, at) => sum + each * (y[at] as number), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function codeOf(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: { code?: unknown } };
    return typeof error?.code === 'string' ? error.code : undefined;
  } catch {
    return undefined;
  }
}

/** The text of an event, reasoning included: a model that thinks answers. */
function eventOf(data: Buffer): { text: string; code?: string; first?: ProbeAnswer['first'] } {
  const line = data.toString();
  if (line === '[DONE]') return { text: '' };
  try {
    const event = JSON.parse(line) as {
      error?: { code?: unknown };
      choices?: {
        delta?: { content?: unknown; reasoning_content?: unknown };
        logprobs?: { content?: { token?: unknown; logprob?: unknown }[] | null } | null;
      }[];
    };
    if (event.error) {
      const { code } = event.error;
      return { text: '', code: typeof code === 'string' ? code : 'unreadable' };
    }
    const delta = event.choices?.[0]?.delta ?? {};
    const text = [delta.reasoning_content, delta.content].filter((part) => typeof part === 'string').join('');
    const told = event.choices?.[0]?.logprobs?.content?.[0];
    return typeof told?.token === 'string' && typeof told.logprob === 'number'
      ? { text, first: { token: told.token, logprob: told.logprob } }
      : { text };
  } catch {
    return { text: '' };
  }
}
