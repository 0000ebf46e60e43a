import type { Operation } from '#domain/operation.ts';

/**
 * A backend is what really computes: a model server behind a URL, llama.cpp in this process, or a stand-in. All of them
 * look the same to the agent: hand one a request, be told its events, cancel it, pause it.
 *
 * Events travel as two pieces of bytes, `head` and `tail`, which together are one JSON document. The head names the
 * completion and is made once per request; so a backend that has the rest as bytes already passes them on uncopied, and
 * nobody builds a string per token.
 */
export interface Backend {
  /**
   * Begins. `sink` may be called from within this call. Never throws: what goes wrong is told to `sink.end`.
   * After `cancel` of the answer, `sink.end` is still called once, with status 499 and the usage so far.
   */
  serve(request: BackendRequest, sink: BackendSink): Serving;
  /** One look at whether it could serve now. Never throws, and answers within ten seconds. */
  probe(): Promise<boolean>;
  /** What it can be asked for. */
  readonly operations: readonly Operation[];
  /** What it knows about itself, once `probe` has answered true. */
  readonly facts: BackendFacts;
  /** What only a pin asks for, and as far as it can be found out; absent where nothing of it can. Never throws. */
  identify?(): Promise<{ engineVersion?: string | undefined; tokens?: readonly number[] | undefined }>;
  /** Gives back memory and sockets. What is under way is cut off. */
  close(): Promise<void>;
}

export interface BackendFacts {
  /** Tokens of context, where it can tell. */
  readonly contextLength?: number;
  /** How many requests it really computes at once, where it can tell. */
  readonly parallel?: number;
  /** `llama.cpp`, `vllm`, …, where it can tell. */
  readonly engine?: string;
}

/** What the answer must carry, whatever the backend calls itself. */
export interface Identity {
  /** The answer's `id`. */
  readonly completion: string;
  /** The answer's `model`. */
  readonly model: string;
  /** The answer's `created`, Unix seconds. */
  readonly createdS: number;
}

export interface BackendRequest {
  readonly operation: Operation;
  /** The OpenAI request, parsed; of a transcription the fields beside the file. The backend does not change it. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The recording to be transcribed. */
  readonly file?: Buffer | undefined;
  readonly stream: boolean;
  readonly identity: Identity;
}

export interface BackendSink {
  /**
   * One event of a streamed answer: `head` and `tail` make one JSON object, with the identity of the request and without
   * `usage`. `tokens` of the answer are in it. False asks for a pause: nothing more should come until `Serving.resume`.
   * The bytes must not change afterwards.
   */
  event(head: Buffer, tail: Buffer, tokens: number): boolean;
  /** The whole unstreamed answer as JSON, with the identity of the request and with `usage`. At most once, before `end`. */
  answer(json: Buffer): void;
  /** Exactly once, last. */
  end(end: BackendEnd): void;
}

export interface BackendEnd {
  /** 200, 499 after a cancel, or an HTTP status that says what went wrong. */
  readonly status: number;
  readonly finishReason?: string | null;
  readonly usage?: TokenUsage | undefined;
  /** An OpenAI error code. */
  readonly code?: string;
  /** For the operators of agent and hub, without the words of prompt or answer. */
  readonly error?: string;
}

/** Exact counts. */
export interface TokenUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** A request under way. All of it is harmless after the end. */
export interface Serving {
  /** Stops at once. */
  cancel(): void;
  /** Goes on after a pause. */
  resume(): void;
}

/** A `Serving` of a request that ended while it began. */
export const ENDED: Serving = { cancel: () => {}, resume: () => {} };

/** The first part of every event of an answer: the tail goes on with `"choices":[…]}`. */
export function eventHead(identity: Identity, operation: Operation): Buffer {
  const object = operation === 'completions' ? 'text_completion' : 'chat.completion.chunk';
  return Buffer.from(
    `{"id":${JSON.stringify(identity.completion)},"object":"${object}","created":${identity.createdS},` +
      `"model":${JSON.stringify(identity.model)},`,
  );
}

/** The tail of an event with one choice. `delta` and `logprobs` are JSON; `finish` is a finish reason or null. */
export function eventTail(delta: string, finish: string | null, logprobs = 'null'): Buffer {
  const reason = finish === null ? 'null' : JSON.stringify(finish);
  return Buffer.from(
    `"choices":[{"index":0,"delta":${delta},"logprobs":${logprobs},"finish_reason":${reason}}]}`,
  );
}

/** The tail of an event of a text completion with one choice. */
export function textTail(text: string, finish: string | null, logprobs = 'null'): Buffer {
  const reason = finish === null ? 'null' : JSON.stringify(finish);
  return Buffer.from(
    `"choices":[{"index":0,"text":${JSON.stringify(text)},"logprobs":${logprobs},"finish_reason":${reason}}]}`,
  );
}

/** A whole unstreamed text completion with one choice. */
export function wholeText(
  identity: Identity,
  text: string,
  finish: string,
  usage: TokenUsage,
  logprobs = 'null',
): Buffer {
  return Buffer.from(
    JSON.stringify({
      id: identity.completion,
      object: 'text_completion',
      created: identity.createdS,
      model: identity.model,
      choices: [{ index: 0, text, logprobs: JSON.parse(logprobs) as unknown, finish_reason: finish }],
      usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
    }),
  );
}

/** A whole unstreamed answer with one choice. */
export function wholeAnswer(
  identity: Identity,
  text: string,
  finish: string,
  usage: TokenUsage,
  logprobs = 'null',
): Buffer {
  return Buffer.from(
    JSON.stringify({
      id: identity.completion,
      object: 'chat.completion',
      created: identity.createdS,
      model: identity.model,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text },
          logprobs: JSON.parse(logprobs) as unknown,
          finish_reason: finish,
        },
      ],
      usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
    }),
  );
}
