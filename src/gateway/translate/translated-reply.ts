import type { Headers, Reply } from '../reply.ts';
import type { ErrorBody, StreamTranslation, Translation } from './translation.ts';

/**
 * A reply whose client speaks another API: the journey answers as for a chat, and what it writes is translated on the way.
 * Pauses, drains and hang-ups pass through, so a slow client is as harmless as any other.
 */
export class TranslatedReply<A> implements Reply {
  readonly #inner: Reply;
  readonly #translation: Translation<A>;
  readonly #requestId: string;
  #ask: A | undefined;
  #stream: StreamTranslation | undefined;

  constructor(inner: Reply, translation: Translation<A>, requestId: string) {
    this.#inner = inner;
    this.#translation = translation;
    this.#requestId = requestId;
  }

  /** The request was read: from here on an answer may come. */
  asked(ask: A): void {
    this.#ask = ask;
  }

  send(status: number, headers: Headers, body: Buffer): void {
    const value = JSON.parse(body.toString()) as { error?: ErrorBody };
    const translated =
      status === 200
        ? this.#translation.whole(value, this.#ask as A)
        : this.#translation.error(value.error as ErrorBody, { status, requestId: this.#requestId });
    this.#inner.send(status, this.#withOwn(headers), Buffer.from(JSON.stringify(translated)));
  }

  open(status: number, headers: Headers): void {
    this.#stream = this.#translation.stream(this.#ask as A);
    this.#inner.open(status, this.#withOwn(headers));
  }

  #withOwn(headers: Headers): Headers {
    return [...headers, ...(this.#translation.headers?.(this.#requestId) ?? [])];
  }

  /** `bytes` are whole events. */
  write(bytes: Buffer): void {
    const stream = this.#stream as StreamTranslation;
    let text = '';
    for (const event of bytes.toString().split('\n\n')) {
      if (event === '') continue;
      const data = event.slice(event.indexOf('data: ') + 'data: '.length);
      if (data === '[DONE]') text += stream.end();
      else if (event.startsWith('event: error')) text += stream.broken(errorOf(data));
      else {
        const chunk = parsed(data);
        if (chunk !== undefined) text += stream.chunk(chunk);
      }
    }
    if (text !== '') this.#inner.write(Buffer.from(text));
  }

  finish(): void {
    this.#inner.finish();
  }

  get congested(): boolean {
    return this.#inner.congested;
  }

  get gone(): boolean {
    return this.#inner.gone;
  }

  get onGone(): (() => void) | undefined {
    return this.#inner.onGone;
  }

  set onGone(listener: (() => void) | undefined) {
    this.#inner.onGone = listener;
  }

  get onDrained(): (() => void) | undefined {
    return this.#inner.onDrained;
  }

  set onDrained(listener: (() => void) | undefined) {
    this.#inner.onDrained = listener;
  }
}

/** A provider's event, which nobody may have parsed yet; undefined for one that is no JSON. */
function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/** The error that we wrote ourselves. */
function errorOf(data: string): ErrorBody {
  return (JSON.parse(data) as { error: ErrorBody }).error;
}
