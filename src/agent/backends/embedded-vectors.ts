import type { LlamaEmbeddingContext, LlamaModel, Token } from 'node-llama-cpp';
import { z } from 'zod';
import type { Logger } from '#kit/log.ts';
import { type BackendRequest, type BackendSink, ENDED, type Serving } from './backend.ts';

/**
 * Embeddings of the model that is loaded, in a context of their own, which is made at the first request. The library takes
 * one text at a time, so requests wait for each other.
 */

const requestSchema = z.looseObject({
  input: z.union([
    z.string().min(1),
    z.array(z.string().min(1)).min(1),
    z.array(z.int().nonnegative()).min(1),
    z.array(z.array(z.int().nonnegative()).min(1)).min(1),
  ]),
  dimensions: z.literal(null, "the length of this model's vectors cannot be chosen").optional(),
});

/** What may wait; a request is many texts, and the hub has other providers. */
const WAITING_MAX = 64;

export class EmbeddedVectors {
  readonly #model: LlamaModel;
  readonly #threads: number;
  readonly #log: Logger;
  #context: Promise<LlamaEmbeddingContext> | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(parts: { model: LlamaModel; threads: number; log: Logger }) {
    this.#model = parts.model;
    this.#threads = parts.threads;
    this.#log = parts.log;
  }

  serve(request: BackendRequest, sink: BackendSink): Serving {
    const parsed = requestSchema.safeParse(request.body);
    if (!parsed.success) {
      sink.end({
        status: 400,
        code: 'invalid_value',
        error: parsed.error.issues[0]?.message ?? 'not valid',
      });
      return ENDED;
    }
    if (this.#closed || this.#waiting >= WAITING_MAX) {
      sink.end({ status: 429, error: 'Too many requests for embeddings wait.' });
      return ENDED;
    }
    const { input } = parsed.data;
    const inputs = typeof input === 'string' || typeof input[0] === 'number' ? [input] : input;
    const work = new Work(request, sink);
    this.#waiting++;
    this.#last = this.#after(this.#last, inputs as (string | number[])[], work);
    return work;
  }

  /** Serves `work` when what came before it is over. Never rejects. */
  async #after(before: Promise<void>, inputs: readonly (string | number[])[], work: Work): Promise<void> {
    await before;
    this.#waiting--;
    if (this.#closed || work.over) {
      work.end({ status: 503, error: 'The agent is leaving.' });
      return;
    }
    try {
      this.#context ??= this.#model.createEmbeddingContext({ threads: this.#threads });
      await this.#embed(await this.#context, inputs, work);
    } catch (error) {
      this.#log.error({ error: error instanceof Error ? error.message : 'unknown' }, 'an embedding failed');
      work.end({ status: 500, error: 'The model runtime failed.' });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await (await this.#context?.catch(() => undefined))?.dispose();
  }

  async #embed(
    context: LlamaEmbeddingContext,
    inputs: readonly (string | number[])[],
    work: Work,
  ): Promise<void> {
    const contextTokens = this.#model.trainContextSize;
    const data: unknown[] = [];
    for (const [index, input] of inputs.entries()) {
      if (work.over || this.#closed) return work.end({ status: 503, error: 'The agent is leaving.' });
      const tokens = typeof input === 'string' ? this.#model.tokenize(input) : (input as Token[]);
      const length = context.calculateInputLength(tokens);
      if (length > contextTokens) {
        return work.end({
          status: 400,
          code: 'context_length_exceeded',
          error: `An input is longer than the context of ${contextTokens} tokens.`,
        });
      }
      const { vector } = await context.getEmbeddingFor(tokens);
      work.counts.push(length);
      work.tokens += length;
      data.push({ object: 'embedding', index, embedding: [...vector] });
    }
    work.answer(data);
  }
}

/** One request. */
class Work implements Serving {
  readonly #request: BackendRequest;
  readonly #sink: BackendSink;
  tokens = 0;
  /** Of each input. */
  readonly counts: number[] = [];
  over = false;

  constructor(request: BackendRequest, sink: BackendSink) {
    this.#request = request;
    this.#sink = sink;
  }

  cancel(): void {
    this.end({ status: 499 });
  }

  resume(): void {
    // Nothing streams.
  }

  answer(data: readonly unknown[]): void {
    if (this.over) return;
    const { model } = this.#request.identity;
    const usage = {
      prompt_tokens: this.tokens,
      total_tokens: this.tokens,
      prompt_tokens_per_input: this.counts,
    };
    this.#sink.answer(Buffer.from(JSON.stringify({ object: 'list', model, data, usage })));
    this.end({ status: 200 });
  }

  end(end: { status: number; code?: string; error?: string }): void {
    if (this.over) return;
    this.over = true;
    this.#sink.end({ ...end, usage: { prompt_tokens: this.tokens, completion_tokens: 0 } });
  }
}
