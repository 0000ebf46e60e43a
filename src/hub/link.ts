import type { Operation } from '#domain/operation.ts';
import type { Usage } from '#domain/usage.ts';

/**
 * One connection to somebody who serves, as dispatch sees it: hand it a job, receive events, cancel. A WebSocket session
 * of either protocol and an external endpoint look the same from here.
 */
export interface Link {
  readonly id: string;
  readonly mode: 'websocket' | 'external';
  /** Begins an attempt. Everything that happens to it is told to `sink`, never synchronously from within `start`. */
  start(job: Job, sink: AttemptSink): Attempt;
}

/** One try of a request on one link. */
export interface Job {
  /** Fresh for each attempt. */
  readonly attemptId: string;
  readonly modelId: string;
  /** The completion id and creation time that the consumer sees, the same over all attempts. */
  readonly completionId: string;
  readonly createdS: number;
  readonly operation: Operation;
  readonly expects: Expected;
  readonly stream: boolean;
  /** The JSON body, as it may be passed on; of a transcription, the recording itself. */
  readonly body: Buffer;
  /** Fields that must replace those of `body` (a model's canonical name, a cap on tokens); of a transcription, all. */
  readonly set: Readonly<Record<string, unknown>>;
  readonly deadlineMs: number;
  /** Where it may share a call with others like it (`gather.ts`). */
  readonly gather?: Gather | undefined;
  /** The markets that the request has passed, as its `CDN-Loop` names them; for whom it is sent on to. */
  readonly via?: string | undefined;
  /** The attempt's place in the trace of its request (W3C Trace Context); for whom it is sent on to. */
  readonly traceparent?: string | undefined;
}

/** What a small request for embeddings may share a call by. */
export interface Gather {
  /** The same for requests that differ in their inputs alone. */
  readonly key: string;
  /** Every field of the body that is passed on, without the model and the inputs. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly inputs: readonly unknown[];
}

/** What an unstreamed answer must hold; one that does not is no answer. */
export interface Expected {
  /** Embeddings: exactly so many. Images: at least one and at most so many. */
  readonly items: number;
  /** The length of each embedding, where the consumer chose it. */
  readonly dimensions?: number | undefined;
}

export const ONE_ANSWER: Expected = { items: 1 };

/** Under way. */
export interface Attempt {
  /**
   * Stops it. The sink still receives `end`: from within this call where the agent will say nothing more, otherwise with
   * the exact usage, within a second. Nothing else is delivered in between. Harmless after the end.
   */
  cancel(reason: 'consumer_disconnected' | 'attempt_timeout' | 'shutting_down'): void;
  /** The consumer has taken `bytes` of what was delivered: the agent may send as many more. */
  consumed(bytes: number): void;
}

export interface AttemptSink {
  /**
   * Whole server-sent events, ready for the consumer: our id, the catalogue's model name, no usage, no `[DONE]`. Events
   * without a token wait for the first one with one. `contentBytes` is how much of it the model wrote, in UTF-8: no more
   * tokens than that can be billed. `events` may be a view of a larger message: copy what is kept.
   */
  data(events: Buffer, eventCount: number, tokenCount: number, contentBytes: number): void;
  /** The whole unstreamed answer, parsed and checked, with our id and the catalogue's model name; and its bytes. */
  result(body: Buffer, answer: Answer): void;
  /** Exactly once, last. */
  end(end: AttemptEnd): void;
}

/** An unstreamed answer that has the shape of its operation (`answer.ts`). */
export type Answer = Readonly<Record<string, unknown>>;

export interface AttemptEnd {
  /**
   * `completed`: the whole answer was delivered. `refused`: the request itself is at fault (the consumer's error).
   * `busy`: turned away for lack of room; not a failure of quality. `failed`: the provider failed. `lost`: the link died.
   * `cancelled`: we stopped it.
   */
  readonly outcome: 'completed' | 'refused' | 'busy' | 'failed' | 'lost' | 'cancelled';
  /** What the provider states, made safe; absent when it stated nothing usable. */
  readonly usage: Usage | undefined;
  /** For the log and the provider's record; never shown to a consumer. */
  readonly inner: string | undefined;
  /** A code of the error table that fits the outcome, when it is not `completed` or `cancelled`. */
  readonly errorCode: string | undefined;
  /** It was lost between two gateways: that says nothing of whoever served, nor of the request. */
  readonly between?: boolean;
}
