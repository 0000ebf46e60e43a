import { decimalUsd, parseUsd } from '#domain/money.ts';
import type { MarketModel } from '../../../api.ts';
import { call, send } from '../../../api.ts';
import { ticksMs } from '../../../surroundings.ts';

/** Chat as the playground does it: one answer, whole or as it comes, with what it took. */

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** What one answer took, as far as it has come. */
export interface Measured {
  readonly ttftMs: number | null;
  readonly totalMs: number;
  readonly inputTokens: number | null;
  /** Counted by the market when it is over; until then, pieces that came. */
  readonly outputTokens: number;
  readonly tokensPerSecond: number | null;
  /** Dollars as a decimal text; null until the market has counted. */
  readonly cost: string | null;
}

interface Ask {
  readonly model: MarketModel;
  readonly secret: string | undefined;
  readonly messages: readonly Message[];
  readonly temperature: number;
  readonly maxTokens: number;
  readonly signal: AbortSignal;
  readonly onText: (text: string, measured: Measured) => void;
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** Asks, and hands over the text as it grows. Throws `ApiError`; stopping it is no error. */
export async function ask(about: Ask): Promise<void> {
  const body = {
    model: about.model.id,
    messages: about.messages,
    temperature: about.temperature,
    max_tokens: about.maxTokens,
  };
  const begun = ticksMs();
  if (about.secret === undefined) {
    const answer = await call<{ choices: { message: { content: string } }[]; usage?: Usage }>(
      'POST',
      '/v1/playground/chat',
      { body, signal: about.signal },
    );
    const totalMs = ticksMs() - begun;
    about.onText(answer.choices[0]?.message.content ?? '', {
      ttftMs: null,
      totalMs,
      inputTokens: answer.usage?.prompt_tokens ?? null,
      outputTokens: answer.usage?.completion_tokens ?? 0,
      tokensPerSecond: null,
      cost: costOf(about.model, answer.usage),
    });
    return;
  }
  const answer = await send('POST', '/v1/chat/completions', {
    body: { ...body, stream: true, stream_options: { include_usage: true } },
    key: about.secret,
    signal: about.signal,
  });
  let text = '';
  let pieces = 0;
  let firstAt: number | undefined;
  let usage: Usage | undefined;
  for await (const data of eventsOf(answer)) {
    const event = JSON.parse(data) as Chunk;
    if (event.error) throw new Error(event.error.message);
    const piece = event.choices?.[0]?.delta?.content ?? '';
    if (piece !== '') {
      firstAt ??= ticksMs();
      pieces += 1;
      text += piece;
    }
    usage = event.usage ?? usage;
    const now = ticksMs();
    const outputTokens = usage?.completion_tokens ?? pieces;
    const generatingMs = firstAt === undefined ? 0 : now - firstAt;
    about.onText(text, {
      ttftMs: firstAt === undefined ? null : firstAt - begun,
      totalMs: now - begun,
      inputTokens: usage?.prompt_tokens ?? null,
      outputTokens,
      tokensPerSecond: generatingMs > 0 && pieces > 1 ? ((pieces - 1) / generatingMs) * 1_000 : null,
      cost: costOf(about.model, usage),
    });
  }
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: Usage | null;
  readonly error?: { readonly message: string };
}

/** The data of each server-sent event, but not the last, `[DONE]`. */
async function* eventsOf(answer: Response): AsyncGenerator<string> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = `${rest}${value}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const data = line.startsWith('data:') ? line.slice(5).trim() : '';
      if (data !== '' && data !== '[DONE]') yield data;
    }
  }
}

/** Exact, as the market charges it: tokens times the list price of one. */
function costOf(model: MarketModel, usage: Usage | undefined): string | null {
  const { prompt, completion } = model.pricing;
  if (!usage || prompt === undefined || completion === undefined) return null;
  return decimalUsd(
    BigInt(usage.prompt_tokens) * parseUsd(prompt) + BigInt(usage.completion_tokens) * parseUsd(completion),
  );
}
