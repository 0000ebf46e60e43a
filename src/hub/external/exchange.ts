import type { Dispatcher } from 'undici';
import type { Timer } from '#kit/clock.ts';
import { SseReader } from '#kit/sse-reader.ts';
import { ownAnswer, statedFor } from '../answer.ts';
import { chunkEvent, eventHead } from '../chunk-event.ts';
import { isFields, statedUsage } from '../completion.ts';
import type { LinkAttempt } from '../link-attempt.ts';
import { textChunk } from '../text-by-chat.ts';
import { NotReachable } from './guarded-connect.ts';
import type { KeyWatch } from './key-watch.ts';
import { meansWithoutBody, readErrorInside, readRefusal } from './upstream-error.ts';

const EVENT_BYTES_MAX = 524_288;
const ERROR_BYTES_MAX = 65_536;
/** Waiting for a slow consumer: the socket is not read above the first, and read again below the second. */
const PAUSE_ABOVE_BYTES = 65_536;
const RESUME_BELOW_BYTES = 32_768;

const DONE = Buffer.from('[DONE]');

/**
 * One request to an endpoint and its answer, told to the attempt it belongs to. The answer is a stranger's: every event
 * is parsed and rebuilt under our names, an unstreamed answer must have its operation's shape, and whatever is too long,
 * compressed, a redirect or not what was asked for is the endpoint's failure.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #attempt: LinkAttempt;
  readonly #byChat: boolean;
  readonly #keyWatch: KeyWatch;
  readonly #resultBytesMax: number;
  readonly #lingering: ExchangeParts['lingering'];
  readonly #head: string;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #reader: SseReader | undefined;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Nothing that still comes is of interest. */
  #over = false;
  #aborted = false;
  /** The response is over. */
  #closed = false;
  #linger: Timer | undefined;

  constructor(attempt: LinkAttempt, about: ExchangeParts) {
    this.#attempt = attempt;
    this.#byChat = about.byChat;
    this.#keyWatch = about.keyWatch;
    this.#resultBytesMax = about.resultBytesMax;
    this.#lingering = about.lingering;
    this.#head = eventHead(attempt.job);
  }

  /**
   * The attempt is over. An answer that is complete may still end, so that its socket can be used again; but not for long,
   * or a server that keeps its lines open behind the end mark would use up all of them.
   */
  release(): void {
    this.#over = true;
    this.#kept = [];
    this.#goOn();
    if (this.#controller && !this.#closed && !this.#aborted)
      this.#linger = this.#lingering(() => this.abort());
  }

  /** Cuts the socket. */
  abort(): void {
    this.#over = true;
    this.#aborted = true;
    this.#controller?.abort(STOPPED);
  }

  /** The consumer took something. */
  taken(): void {
    if (this.#attempt.undelivered < RESUME_BELOW_BYTES) this.#goOn();
  }

  #close(): void {
    this.#closed = true;
    this.#linger?.cancel();
  }

  #goOn(): void {
    if (this.#controller?.paused) this.#controller.resume();
  }

  // --- undici's handler

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(STOPPED);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#over || status < 200) return;
    this.#status = status;
    const encoding = String(headers['content-encoding'] ?? 'identity');
    if (encoding !== 'identity') return this.#attempt.violate('a compressed answer');
    if (status !== 200) {
      if (meansWithoutBody(status)) this.#refused(status, '');
      return;
    }
    const isStream = /^text\/event-stream\b/i.test(String(headers['content-type'] ?? ''));
    if (isStream && !this.#attempt.job.stream) return this.#attempt.violate('a stream that nobody asked for');
    if (isStream)
      this.#reader = new SseReader((data) => this.#event(data), { eventBytesMax: EVENT_BYTES_MAX });
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#over) {
      // Behind the end of a complete answer belongs nothing but the end of the response.
      if (!this.#aborted && piece.some((byte) => byte !== 0x0a && byte !== 0x0d)) this.abort();
      return;
    }
    if (this.#reader) {
      if (!this.#reader.push(piece) && !this.#over)
        this.#attempt.violate('an event larger than the hub takes');
      else if (!this.#over && this.#attempt.undelivered > PAUSE_ABOVE_BYTES) controller.pause();
      return;
    }
    this.#keptBytes += piece.length;
    const whole = this.#status === 200 && !this.#attempt.job.stream;
    if (this.#keptBytes <= (whole ? this.#resultBytesMax : ERROR_BYTES_MAX)) this.#kept.push(piece);
    else if (whole) this.#attempt.violate('an answer larger than the hub takes');
    else this.#refused(this.#status === 200 ? 502 : this.#status, '');
  }

  onResponseEnd(): void {
    this.#close();
    if (this.#over) return;
    if (this.#reader) {
      this.#reader.finish();
      if (!this.#over) this.#attempt.streamEnded();
      return;
    }
    const text = Buffer.concat(this.#kept).toString();
    if (this.#status !== 200) this.#refused(this.#status, text);
    else this.#whole(text);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#close();
    if (this.#over) return;
    const { code } = error as { code?: unknown };
    const why = error instanceof NotReachable ? 'not-reachable' : typeof code === 'string' ? code : 'unknown';
    this.fail(why);
  }

  /** The endpoint could not be asked or read. `why` is a word of ours or of the system. */
  fail(why: string): void {
    if (this.#over) return;
    const event = this.#attempt.phase === 'waiting' ? 'violation' : 'end-error';
    this.#attempt.happen(event, { status: 502, inner: `the endpoint could not be read: ${why}` });
  }

  // --- what it says

  #event(data: Buffer): void {
    if (this.#over) return;
    const attempt = this.#attempt;
    if (data.equals(DONE)) {
      attempt.mark();
      attempt.streamEnded();
      return;
    }
    const chunk = parsed(data.toString());
    if (!isFields(chunk)) return attempt.violate('an event that is no JSON object');
    const trouble = readErrorInside(chunk);
    if (trouble) return this.#broken(trouble);
    const { choices, usage } = chunk;
    if (isFields(usage)) attempt.usage = statedUsage(usage) ?? attempt.usage;
    if (!Array.isArray(choices) || choices.length === 0) return;
    const event = chunkEvent(this.#head, this.#byChat ? textChunk(chunk) : chunk);
    if (!event) return attempt.violate('an event that has not the shape of a chunk');
    if (this.#keyWatch.isIn(event.text) || this.#keyWatch.isSaidWith(saidIn(choices)))
      return attempt.violate('the answer holds the key of the endpoint');
    if (event.finished) attempt.finished = true;
    attempt.content(Buffer.from(event.text), 1, event.tokens, event.contentBytes);
  }

  #whole(text: string): void {
    const attempt = this.#attempt;
    const { job } = attempt;
    const response = parsed(text);
    const trouble = readErrorInside(response);
    if (trouble) return this.#broken(trouble);
    if (job.stream) return attempt.violate('an answer that is no event stream');
    if (!isFields(response)) return attempt.violate('an answer that is no JSON object');
    const own = ownAnswer(response, job, { byChat: this.#byChat });
    if (!own) return attempt.violate('the answer has not the shape that was asked for');
    // As it would be passed on: what came may have written the key with escapes.
    if (this.#keyWatch.isIn(own.body)) return attempt.violate('the answer holds the key of the endpoint');
    attempt.usage = statedFor(own.answer, job.operation);
    attempt.answered(own.body, own.answer);
  }

  #refused(status: number, body: string): void {
    this.#broken(readRefusal(status, body));
  }

  #broken({ status, text }: { status: number; text: string | undefined }): void {
    // What else comes is of no interest, however long it takes.
    this.abort();
    this.#attempt.failed(this.#attempt.job.stream ? 'end-error' : 'result-error', status, text);
  }
}

export interface ExchangeParts {
  /** A text completion was asked as a chat. */
  readonly byChat: boolean;
  readonly keyWatch: KeyWatch;
  readonly resultBytesMax: number;
  /** Sets the timer after which a response that does not end is cut off. */
  readonly lingering: (cut: () => void) => Timer;
}

const STOPPED = new Error('stopped');

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a model wrote in the pieces of one event, one after the other. */
function saidIn(choices: readonly unknown[]): string {
  let said = '';
  for (const choice of choices) {
    if (!isFields(choice)) continue;
    if (typeof choice['text'] === 'string') said += choice['text'];
    const { delta } = choice;
    if (!isFields(delta)) continue;
    for (const name of WRITTEN) if (typeof delta[name] === 'string') said += delta[name];
    const calls = delta['tool_calls'];
    if (Array.isArray(calls)) for (const call of calls) said += argumentsIn(call);
  }
  return said;
}

const WRITTEN = ['content', 'reasoning_content', 'reasoning', 'refusal'] as const;

function argumentsIn(call: unknown): string {
  const asked = isFields(call) ? call['function'] : undefined;
  const text = isFields(asked) ? asked['arguments'] : undefined;
  return typeof text === 'string' ? text : '';
}
