import type {
  ChatHistoryItem,
  ChatWrapper,
  LlamaContext,
  LlamaContextSequence,
  LlamaGrammarEvaluationState,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from 'node-llama-cpp';
import type { Logger } from '#kit/log.ts';
import { TOKENIZER_SAMPLE } from '#wire/requirements.ts';
import { schemaForGrammar } from './answer-format.ts';
import {
  type Backend,
  type BackendFacts,
  type BackendRequest,
  type BackendSink,
  ENDED,
  eventHead,
  eventTail,
  type Serving,
  type TokenUsage,
  textTail,
  wholeAnswer,
  wholeText,
} from './backend.ts';
import { type ChatRequest, readChatRequest, readTextRequest, type TextRequest } from './chat-request.ts';
import { EmbeddedVectors } from './embedded-vectors.ts';
import { chatLogprobs, type Likelihood, likelihood, textLogprobs } from './likelihoods.ts';
import { StopTexts } from './stop-texts.ts';

/**
 * llama.cpp in this process, through node-llama-cpp: one model file, one context, several sequences that are computed
 * together. The decoding itself runs on a thread of the library; between tokens the event loop is free.
 *
 * The tokens are drawn one by one from `sequence.evaluate` rather than through the library's chat session, because that
 * gives us what the market needs: nothing is computed while the consumer is slow, a cancel takes effect with the next
 * token, and every count is exact. The file's own chat template is applied by the library.
 *
 * llama.cpp drops a prompt that is longer than the context in silence and babbles on from nothing. So it is counted and
 * refused here before anything is generated.
 */

export interface EmbeddedOptions {
  /** The GGUF file. */
  readonly path: string;
  /** Requests computed together. Each has a context of its own. */
  readonly sequences: number;
  /** With more than one thread a tiny model spends its time on their waiting for each other. */
  readonly threads: number;
  readonly gpu: 'auto' | false;
  /** Tokens of context for each sequence; by default what the model was trained for, up to 4096. */
  readonly contextLength?: number | undefined;
}

const CONTEXT_DEFAULT_MAX = 4_096;
const BATCH_TOKENS = 512;
/** No tokenizer packs more than this into a token over a whole prompt; a longer prompt is refused without being counted. */
const CHARS_PER_TOKEN_MAX = 64;
/** How many tokens may belong to one character that is not complete yet. */
const TOKENS_PER_CHARACTER_MAX = 8;
const TOKENS_BEFORE = 4;
const REPLACEMENT = '\uFFFD';

export class EmbeddedBackend implements Backend {
  readonly facts: BackendFacts & { parallel: number };
  readonly operations = ['chat/completions', 'completions', 'embeddings'] as const;
  readonly #vectors: EmbeddedVectors;
  readonly #library: typeof import('node-llama-cpp');
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #wrapper: ChatWrapper;
  readonly #log: Logger;
  readonly #free: LlamaContextSequence[] = [];
  readonly #waiting: Generation[] = [];
  #closed = false;

  private constructor(parts: {
    library: typeof import('node-llama-cpp');
    model: LlamaModel;
    context: LlamaContext;
    sequences: number;
    threads: number;
    log: Logger;
  }) {
    this.#library = parts.library;
    this.#model = parts.model;
    this.#context = parts.context;
    this.#log = parts.log;
    this.#wrapper = parts.library.resolveChatWrapper(parts.model);
    this.#vectors = new EmbeddedVectors(parts);
    for (let i = 0; i < parts.sequences; i++) this.#free.push(parts.context.getSequence());
    this.facts = { contextLength: parts.context.contextSize, parallel: parts.sequences, engine: 'llama.cpp' };
  }

  /** Loads the model. Throws when the runtime is not installed, or the file cannot be loaded. */
  static async open(options: EmbeddedOptions, parts: { log: Logger }): Promise<EmbeddedBackend> {
    let library: typeof import('node-llama-cpp');
    try {
      library = await import('node-llama-cpp');
    } catch (cause) {
      throw new Error(
        'The model runtime (node-llama-cpp) is not installed; serve a URL instead, or install it.',
        {
          cause,
        },
      );
    }
    const llama = await library.getLlama({
      gpu: options.gpu,
      build: 'never',
      skipDownload: true,
      logLevel: library.LlamaLogLevel.error,
      logger: (level, message) => parts.log.warn({ level, detail: message }, 'llama.cpp said something'),
    });
    const model = await llama.loadModel({ modelPath: options.path });
    const contextSize = options.contextLength ?? Math.min(model.trainContextSize, CONTEXT_DEFAULT_MAX);
    const context = await model.createContext({
      contextSize,
      sequences: options.sequences,
      threads: options.threads,
      batchSize: Math.min(BATCH_TOKENS, contextSize),
    });
    return new EmbeddedBackend({ library, model, context, ...options, log: parts.log });
  }

  async identify(): Promise<{ tokens: readonly number[] }> {
    return { tokens: this.#model.tokenize(TOKENIZER_SAMPLE, false) };
  }

  serve(request: BackendRequest, sink: BackendSink): Serving {
    if (request.operation === 'embeddings') return this.#vectors.serve(request, sink);
    const chat =
      request.operation === 'completions' ? readTextRequest(request.body) : readChatRequest(request.body);
    if ('refusal' in chat) {
      sink.end({ status: 400, code: 'invalid_value', error: chat.refusal });
      return ENDED;
    }
    const prompt = this.#promptOf(chat);
    if (!prompt || prompt.length >= this.#context.contextSize) {
      sink.end({
        status: 400,
        code: 'context_length_exceeded',
        error: `The prompt is longer than the context of ${this.#context.contextSize} tokens.`,
        usage: { prompt_tokens: 0, completion_tokens: 0 },
      });
      return ENDED;
    }
    // A sequence is free a moment after its request has ended, so as many as there are sequences may wait for that moment.
    if (this.#closed || this.#waiting.length >= this.facts.parallel) {
      sink.end({ status: 429, error: 'All sequences are in use.' });
      return ENDED;
    }
    const generation = new Generation({
      library: this.#library,
      model: this.#model,
      prompt,
      chat,
      request,
      sink,
    });
    this.#waiting.push(generation);
    this.#startWaiting();
    return generation;
  }

  probe(): Promise<boolean> {
    return Promise.resolve(!this.#closed && !this.#model.disposed && !this.#context.disposed);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#vectors.close();
    await this.#context.dispose();
    await this.#model.dispose();
  }

  #startWaiting(): void {
    while (this.#waiting.length > 0 && this.#free.length > 0) {
      void this.#generate(this.#waiting.shift() as Generation, this.#free.pop() as LlamaContextSequence);
    }
  }

  async #generate(generation: Generation, sequence: LlamaContextSequence): Promise<void> {
    try {
      await generation.run(sequence);
    } catch (error) {
      if (!this.#closed) {
        this.#log.error({ error: error instanceof Error ? error.message : 'unknown' }, 'a generation failed');
        // What is left in the sequence is unknown; the next one starts from nothing.
        await sequence.clearHistory().catch(() => {});
      }
      generation.fail();
    }
    this.#free.push(sequence);
    if (!this.#closed) this.#startWaiting();
  }

  /** The tokens of the prompt; undefined when it is longer than any context could be. */
  #promptOf(request: ChatRequest | TextRequest): Token[] | undefined {
    if (!('prompt' in request)) return this.#tokens(request);
    const { prompt } = request;
    if (prompt.length > this.#context.contextSize * CHARS_PER_TOKEN_MAX) return undefined;
    if (typeof prompt !== 'string') return [...prompt] as Token[];
    const tokens = this.#model.tokenize(prompt, false);
    const { bos } = this.#model.tokens;
    return this.#model.tokens.shouldPrependBosToken && bos !== null ? [bos, ...tokens] : tokens;
  }

  /** The prompt as the file's template writes it; undefined when it is longer than any context could be. */
  #tokens(chat: ChatRequest): Token[] | undefined {
    const chars = chat.turns.reduce((sum, turn) => sum + turn.text.length, 0);
    if (chars > this.#context.contextSize * CHARS_PER_TOKEN_MAX) return undefined;
    const chatHistory = chat.turns.map(
      (turn): ChatHistoryItem =>
        turn.type === 'model'
          ? { type: 'model', response: [turn.text] }
          : { type: turn.type, text: turn.text },
    );
    const { contextText } = this.#wrapper.generateContextState({
      chatHistory: [...chatHistory, { type: 'model', response: [] }],
    });
    return this.#library.LlamaText(contextText).tokenize(this.#model.tokenizer);
  }
}

/** One request being generated. */
class Generation implements Serving {
  readonly #library: typeof import('node-llama-cpp');
  readonly #model: LlamaModel;
  readonly #prompt: Token[];
  readonly #chat: ChatRequest | TextRequest;
  readonly #request: BackendRequest;
  readonly #sink: BackendSink;
  readonly #head: Buffer;
  readonly #stops: StopTexts;
  #text = '';
  /** Where the next likelihood's text begins, and likelihoods that no event has carried yet. */
  #textAt = 0;
  #likelihoods: Likelihood[] = [];
  /** What penalties look at; empty without penalties. */
  readonly #made: Token[] = [];
  #generated = 0;
  /** Tokens generated since the last event. */
  #unsaid = 0;
  #said = false;
  #over = false;
  #paused = false;
  #goOn: (() => void) | undefined;

  constructor(parts: {
    library: typeof import('node-llama-cpp');
    model: LlamaModel;
    prompt: Token[];
    chat: ChatRequest | TextRequest;
    request: BackendRequest;
    sink: BackendSink;
  }) {
    this.#library = parts.library;
    this.#model = parts.model;
    this.#prompt = parts.prompt;
    this.#chat = parts.chat;
    this.#request = parts.request;
    this.#sink = parts.sink;
    this.#head = eventHead(parts.request.identity, parts.request.operation);
    this.#stops = new StopTexts(parts.chat.stops);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#goOn?.();
    this.#sink.end({ status: 499, usage: this.#usage() });
  }

  resume(): void {
    this.#paused = false;
    this.#goOn?.();
  }

  /** Something inside broke. */
  fail(): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.end({ status: 500, error: 'The model runtime failed.', usage: this.#usage() });
  }

  /** Generates until the end, a cancel or an error. Afterwards the sequence is free for another. */
  async run(sequence: LlamaContextSequence): Promise<void> {
    if (this.#over) return;
    const options = await this.#sampling();
    if (!options || this.#over) return;
    const rest = await this.#reusePrefix(sequence);
    // In batches, so that a cancel during a long prompt does not wait for all of it.
    let at = 0;
    for (; rest.length - at > BATCH_TOKENS && !this.#over; at += BATCH_TOKENS) {
      await sequence.evaluateWithoutGeneratingNewTokens(rest.slice(at, at + BATCH_TOKENS));
    }
    if (this.#over) return;
    const roomTokens = sequence.contextSize - this.#prompt.length;
    const tokensMax = Math.min(roomTokens, this.#chat.maxTokens ?? roomTokens);
    let finish = 'stop';
    let pending: Token[] = [];
    let before: Token[] = this.#prompt.slice(-TOKENS_BEFORE);
    for await (const token of this.#tokens(sequence, rest.slice(at), options)) {
      if (this.#over) return;
      if (this.#chat.frequencyPenalty !== 0 || this.#chat.presencePenalty !== 0) this.#made.push(token);
      this.#generated++;
      this.#unsaid++;
      pending.push(token);
      const piece = this.#model.detokenize(pending, false, before);
      // Half a character: wait for the rest of it.
      const whole = !piece.endsWith(REPLACEMENT) || pending.length >= TOKENS_PER_CHARACTER_MAX;
      if (whole) {
        before = [...before, ...pending].slice(-TOKENS_BEFORE);
        pending = [];
        const { text, stopped } = this.#stops.push(piece);
        this.#say(text);
        if (stopped) break;
      }
      if (this.#generated >= tokensMax) {
        finish = 'length';
        break;
      }
      if (this.#paused) await this.#permission();
      if (this.#over) return;
    }
    if (this.#over) return;
    if (pending.length > 0) this.#say(this.#stops.push(this.#model.detokenize(pending, false, before)).text);
    this.#say(this.#stops.finish());
    this.#finish(finish);
  }

  /** Keeps what the sequence already knows of this prompt; answers the tokens that are still to be read. */
  async #reusePrefix(sequence: LlamaContextSequence): Promise<Token[]> {
    // The last token is always read again: its outcome is the first token of the answer.
    await sequence.adaptStateToTokens(this.#prompt.slice(0, -1), false);
    return this.#prompt.slice(sequence.nextTokenIndex);
  }

  /** The tokens one after the other; how likely each was is looked up only where it is asked for, since it is dear. */
  async *#tokens(
    sequence: LlamaContextSequence,
    prompt: Token[],
    options: SequenceEvaluateOptions,
  ): AsyncGenerator<Token> {
    const others = this.#chat.likelihoods;
    if (others === undefined) {
      yield* sequence.evaluate(prompt, options);
      return;
    }
    for await (const { token, probabilities } of sequence.evaluateWithMetadata(
      prompt,
      { probabilities: true },
      options,
    )) {
      const text = (each: Token): string => this.#model.detokenize([each]);
      const top = [...probabilities.entries()]
        .slice(0, others)
        .map(([each, probability]) => ({ text: text(each), probability }));
      this.#likelihoods.push(likelihood(text(token), probabilities.get(token) ?? 0, top));
      yield token;
    }
  }

  /** Undefined, and the request has ended, when the answer cannot be held to what was asked for. */
  async #sampling(): Promise<SequenceEvaluateOptions | undefined> {
    const { temperature, topP, seed, frequencyPenalty, presencePenalty } = this.#chat;
    let grammarEvaluationState: LlamaGrammarEvaluationState | undefined;
    try {
      grammarEvaluationState = await this.#grammar();
    } catch {
      this.#refuse('response_format: this schema cannot be made a grammar');
      return undefined;
    }
    return {
      // Unlike OpenAI's default of 1: small models answer best when they do not gamble.
      temperature: temperature ?? 0,
      topP: topP ?? 1,
      ...(seed === undefined ? {} : { seed: seed >>> 0 }),
      ...(grammarEvaluationState && { grammarEvaluationState }),
      ...((frequencyPenalty !== 0 || presencePenalty !== 0) && {
        repeatPenalty: { punishTokens: () => this.#made, penalty: 1, frequencyPenalty, presencePenalty },
      }),
    };
  }

  async #grammar(): Promise<LlamaGrammarEvaluationState | undefined> {
    const { format } = this.#chat;
    if (!format) return undefined;
    const { llama } = this.#model;
    const grammar =
      format.kind === 'json'
        ? await llama.getGrammarFor('json')
        : await llama.createGrammarForJsonSchema(schemaForGrammar(format.schema) as never);
    return new this.#library.LlamaGrammarEvaluationState({ model: this.#model, grammar });
  }

  #refuse(error: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.end({ status: 400, code: 'invalid_value', error, usage: this.#usage() });
  }

  #permission(): Promise<void> {
    return new Promise((resolve) => {
      const goOn = (): void => {
        this.#goOn = undefined;
        resolve();
      };
      this.#goOn = goOn;
    });
  }

  #say(text: string): void {
    if (text === '') return;
    if (!this.#request.stream) {
      this.#text += text;
      return;
    }
    const tokens = this.#unsaid;
    this.#unsaid = 0;
    if (!this.#sink.event(this.#head, this.#tail(text), tokens)) this.#paused = true;
    this.#said = true;
  }

  #tail(text: string): Buffer {
    const logprobs = this.#logprobs();
    if (this.#request.operation === 'completions') return textTail(text, null, logprobs);
    const delta = this.#said ? { content: text } : { role: 'assistant', content: text };
    return eventTail(JSON.stringify(delta), null, logprobs);
  }

  /** The likelihoods that nothing has carried yet, as JSON. */
  #logprobs(): string {
    if (this.#chat.likelihoods === undefined) return 'null';
    const tokens = this.#likelihoods;
    this.#likelihoods = [];
    if (this.#request.operation !== 'completions') return chatLogprobs(tokens);
    const written = textLogprobs(tokens, this.#textAt);
    for (const { token } of tokens) this.#textAt += token.length;
    return written;
  }

  #finish(reason: string): void {
    this.#over = true;
    const usage = this.#usage();
    const isText = this.#request.operation === 'completions';
    const { identity } = this.#request;
    if (this.#request.stream)
      this.#sink.event(this.#head, isText ? textTail('', reason) : eventTail('{}', reason), this.#unsaid);
    else {
      const write = isText ? wholeText : wholeAnswer;
      this.#sink.answer(write(identity, this.#text, reason, usage, this.#logprobs()));
    }
    this.#sink.end({ status: 200, finishReason: reason, usage });
  }

  #usage(): TokenUsage {
    return { prompt_tokens: this.#prompt.length, completion_tokens: this.#generated };
  }
}
