import { Agent, request } from 'undici';
import type { Pico } from '#domain/money.ts';
import type { TierName } from '#domain/tier.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Sealed } from '#kit/sealed.ts';
import { SseReader } from '#kit/sse-reader.ts';

/**
 * Who buys on a game day, all day long and at a steady pace, over HTTP like anybody else. Each consumer keeps books of its own
 * on what it asked and got: they are compared with the market's at the end, and share nothing with them.
 */
export interface Shopper {
  readonly id: string;
  readonly tier: TierName;
  readonly key: Sealed<string>;
}

/** One request as its consumer saw it. */
export interface Receipt {
  readonly consumerId: string;
  readonly tier: TierName;
  /** When it was sent and when it was over, by the day's calendar. */
  readonly sentMs: number;
  readonly endMs: number;
  readonly status: number;
  /** A whole answer came. */
  readonly whole: boolean;
  /** The word that was to be said again was said. */
  readonly right: boolean;
  /** The smaller model that answered instead, as the header says; and the cap on the answer's length. */
  readonly servedModel: string | undefined;
  readonly outputCap: number | undefined;
  /** What it must cost at list prices, by the tokens that the answer states. */
  readonly cost: Pico;
}

/** Requests a second of each tier. Free accounts may ask ten times a minute, so there are several of them. */
const PER_SECOND: Readonly<Record<TierName, number>> = { business: 8, pro: 6, hobby: 1.5 };
/** More than anybody needs here, and more than Hobby gets while a model is in trouble. */
const OUTPUT_TOKENS_MAX = 300;
const ANSWER_MS = 30_000;

export class Traffic {
  readonly receipts: Receipt[] = [];
  readonly #parts: TrafficParts;
  readonly #connections = new Agent({ connections: 256 });
  readonly #timers: Timer[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #sent = 0;

  constructor(parts: TrafficParts) {
    this.#parts = parts;
    for (const [tier, perSecond] of Object.entries(PER_SECOND) as [TierName, number][]) {
      const shoppers = parts.shoppers.filter((each) => each.tier === tier);
      let next = 0;
      this.#timers.push(
        parts.clock.every(1_000 / perSecond, () => {
          const shopper = shoppers[next++ % shoppers.length];
          if (!shopper) return;
          const asking = this.#ask(shopper).finally(() => this.#underWay.delete(asking));
          this.#underWay.add(asking);
        }),
      );
    }
  }

  /** What was sent from then on and is over. */
  since(ms: number, tier?: TierName): Receipt[] {
    return this.receipts.filter((each) => each.sentMs >= ms && (tier === undefined || each.tier === tier));
  }

  /** Sends nothing more, and waits for what is under way. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    await Promise.all(this.#underWay);
    await this.#connections.close();
  }

  async #ask({ id, tier, key }: Shopper): Promise<void> {
    const { clock, url, model, prices } = this.#parts;
    const word = `parcel${++this.#sent}`;
    const sentMs = clock.wallMs();
    const seen = { status: 0, text: '', done: false, input: 0, output: 0, model };
    const headers = new Map<string, string>();
    try {
      const {
        statusCode,
        headers: told,
        body,
      } = await request(`${url}/v1/chat/completions`, {
        method: 'POST',
        dispatcher: this.#connections,
        signal: AbortSignal.timeout(ANSWER_MS),
        headers: { authorization: `Bearer ${key.open()}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model,
          stream: true,
          stream_options: { include_usage: true },
          max_tokens: OUTPUT_TOKENS_MAX,
          messages: [{ role: 'user', content: `Say ${word} again.` }],
        }),
      });
      seen.status = statusCode;
      for (const [name, value] of Object.entries(told)) headers.set(name, String(value));
      const reader = new SseReader((data) => read(data.toString(), seen), { eventBytesMax: 1_048_576 });
      if (statusCode === 200) for await (const piece of body as AsyncIterable<Buffer>) reader.push(piece);
      else await body.dump();
    } catch {
      // Cut off or not there: an answer that is not whole.
    }
    const cap = headers.get('x-cygnet-output-tokens-max');
    const price = prices.get(seen.model) ?? { input: 0n, output: 0n };
    this.receipts.push({
      consumerId: id,
      tier,
      sentMs,
      endMs: clock.wallMs(),
      status: seen.status,
      whole: seen.done,
      right: seen.text.includes(word),
      servedModel: headers.get('x-cygnet-served-model'),
      outputCap: cap === undefined ? undefined : Number(cap),
      cost: seen.done ? BigInt(seen.input) * price.input + BigInt(seen.output) * price.output : 0n,
    });
  }
}

export interface TrafficParts {
  /** Real time, and the day's calendar. */
  readonly clock: Clock;
  readonly url: string;
  readonly model: string;
  readonly shoppers: readonly Shopper[];
  /** List prices of a token, in pico-dollars. */
  readonly prices: ReadonlyMap<string, { readonly input: Pico; readonly output: Pico }>;
}

function read(
  event: string,
  seen: { text: string; done: boolean; input: number; output: number; model: string },
): void {
  if (event === '[DONE]') {
    seen.done = true;
    return;
  }
  const {
    choices = [],
    usage,
    model,
  } = JSON.parse(event) as {
    model?: string;
    choices?: { delta?: { content?: string } }[];
    usage?: { prompt_tokens: number; completion_tokens: number } | null;
  };
  if (model !== undefined) seen.model = model;
  seen.text += choices[0]?.delta?.content ?? '';
  if (!usage) return;
  seen.input = usage.prompt_tokens;
  seen.output = usage.completion_tokens;
}
