import type { Headers } from '../reply.ts';

/** How a chat's answer looks in another API. Pure: values in, values and texts out. */
export interface Translation<A> {
  /** An unstreamed answer. */
  whole(completion: unknown, ask: A): unknown;
  /** The events of a streamed one. */
  stream(ask: A): StreamTranslation;
  /** Headers that its clients look for. */
  headers?(requestId: string): Headers;
  /** A failure instead of an answer; `error` is the body of the error table. */
  error(error: ErrorBody, about: { status: number; requestId: string | null }): unknown;
}

export interface StreamTranslation {
  /** The events that one chunk becomes, as text; empty when it says nothing. */
  chunk(chunk: unknown): string;
  /** The events after the last chunk. */
  end(): string;
  /** The events of an answer that breaks off. */
  broken(error: ErrorBody): string;
}

export interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly code: string;
}

/** One server-sent event with a name, as Anthropic and the Responses API write them. */
export function namedEvent(value: { readonly type: string } & Readonly<Record<string, unknown>>): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
}
