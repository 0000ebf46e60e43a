import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { pause, systemClock } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import type { TestParty } from '#support/parties.ts';
import { ERRORS } from '#wire/errors.ts';

/** Where one may ask, and whether nobody was there at any time between. */
export interface Place {
  readonly url: string;
  wasDown(from: number, until: number): boolean;
}

/** What a client was told is complete. */
export interface Told {
  readonly requestId: string;
  readonly usage: { prompt_tokens: number; completion_tokens: number };
}

/** What clients met, in all. */
export class Ledger {
  readonly told = new Map<string, Told>();
  /** The same request told complete twice. */
  twice = 0;
  /** Failures that were said: by code. */
  readonly honest = new Map<string, number>();
  /** The first of them with their words, and when. */
  readonly said: string[] = [];
  /** Connections that ended with their gateway. */
  lost = 0;
  /** Nobody was there to take the call. */
  refused = 0;
  left = 0;
  /** Everything else. */
  readonly dishonest: string[] = [];
  /** What each client waits for, and since when by `performance.now`. */
  readonly doing = new Map<number, { readonly what: string; readonly sinceMs: number }>();
  #wake: () => void = () => {};

  complete(told: Told): void {
    if (this.told.has(told.requestId)) this.twice += 1;
    this.told.set(told.requestId, told);
    this.#wake();
  }

  failed(code: unknown, words?: unknown): void {
    if (this.said.length < SAID_MAX)
      this.said.push(`${Math.round(performance.now())} ${String(code)}: ${String(words)}`);
    if (typeof code === 'string' && CODES.has(code)) this.honest.set(code, (this.honest.get(code) ?? 0) + 1);
    else this.dishonest.push(`a failure without a code of ours: ${String(code)}`);
  }

  /** Resolves after so many more complete answers, or when `atMost` does. */
  async more(count: number, atMost: Promise<void>): Promise<void> {
    const goal = this.told.size + count;
    const reached = async (): Promise<void> => {
      while (this.told.size < goal) await new Promise<void>((resolve) => (this.#wake = resolve));
    };
    await Promise.race([reached(), atMost]);
  }
}

/** An answer that is an error of ours. */
function failedWith(ledger: Ledger, body: { error?: { code?: unknown; message?: unknown } }): void {
  ledger.failed(body.error?.code, body.error?.message);
}

const SAID_MAX = 50;
export const TOKENS = 12;
export const PROMPT_TOKENS = 9;
/** Of one request in four, so that something is always under way when a gateway dies. */
const LONG_TOKENS = 150;
const CODES: ReadonlySet<string> = new Set(Object.values(ERRORS).map(({ openaiCode }) => openaiCode));

/** However a request ends: its deadline (a minute), and the longest time that a gateway stands still. */
const ENDS_WITHIN_MS = 90_000;

/** Asks on and on, now this gateway and now that. */
export async function client(
  gateways: readonly Place[],
  party: TestParty,
  model: string,
  about: { name: number; ledger: Ledger; random: Randomness; stop: () => boolean },
): Promise<void> {
  const { ledger, random } = about;
  const chance = (share: number): boolean => random.float() < share;
  while (!about.stop()) {
    const gateway = gateways[Math.floor(random.float() * gateways.length)] as Place;
    const began = performance.now();
    const long = chance(0.25);
    const tokens = long ? LONG_TOKENS : TOKENS;
    const body = {
      model,
      messages: HELLO,
      max_tokens: tokens,
      ...(long && { rehearsal: `paced=5,tokens=${LONG_TOKENS},prompt=${PROMPT_TOKENS}` }),
    };
    const asked = { url: gateway.url, key: party.key };
    const streamed = chance(0.6);
    ledger.doing.set(about.name, {
      what: `${gateway.url}, ${tokens} tokens${streamed ? ', streamed' : ''}`,
      sinceMs: began,
    });
    try {
      if (streamed) {
        const stream = await askStream({
          ...asked,
          body: { ...body, stream_options: { include_usage: true } },
        });
        if (long && chance(0.2)) {
          await stream.tokens(3);
          stream.leave();
          await stream.ended;
          ledger.left += 1;
          continue;
        }
        const end = await stream.ended;
        const requestId = stream.headers['x-request-id'] as string;
        if (stream.done) {
          const words = stream.chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('');
          if (words === rehearsedText(tokens))
            ledger.complete({ requestId, usage: stream.chunks.at(-1).usage });
          else ledger.dishonest.push(`${requestId} was called whole with ${words.length} characters`);
          continue;
        }
        if (stream.error) ledger.failed(stream.error.error?.code, stream.error.error?.message);
        else if (stream.status !== 200) failedWith(ledger, JSON.parse(stream.bytes));
        else if (gateway.wasDown(began, performance.now())) ledger.lost += 1;
        else ledger.dishonest.push(`${requestId} at ${gateway.url} ended (${end}) without a word`);
      } else {
        const { status, headers, json } = await ask({ ...asked, body });
        const requestId = headers['x-request-id'] as string;
        if (status !== 200) failedWith(ledger, json);
        else if (json.choices?.[0]?.message?.content === rehearsedText(tokens)) {
          ledger.complete({ requestId, usage: json.usage });
          continue;
        } else ledger.dishonest.push(`${requestId} answered 200 with something else`);
      }
    } catch (error) {
      if ((error as { code?: string }).code === 'ECONNREFUSED' && gateway.wasDown(began, performance.now()))
        ledger.refused += 1;
      else if (gateway.wasDown(began, performance.now())) ledger.lost += 1;
      else ledger.dishonest.push(`${gateway.url} broke a connection: ${String(error)}`);
    } finally {
      const tookMs = performance.now() - began;
      if (tookMs > ENDS_WITHIN_MS) ledger.dishonest.push(`${gateway.url} took ${Math.round(tookMs)} ms`);
    }
    // As any client would, it comes again, a little later.
    await pause(systemClock, 20 + random.float() * 60);
  }
  ledger.doing.delete(about.name);
}
