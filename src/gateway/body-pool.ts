import type { EventEmitter } from 'node:events';
import type { Clock, Timer } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { startThread } from '#kit/thread.ts';
import { type BodyLimits, DEFAULT_BODY_LIMITS } from './body.ts';
import type { BodyRead, BodyWork } from './body.worker.ts';
import type { Ask } from './endpoint.ts';
import { READERS, type Read, type ReaderName } from './readers.ts';

/**
 * Reads bodies: small ones at once, large ones in a thread, because a body of 400 kB takes longer to parse than any
 * stream may stand still. The thread gets a copy (a tenth of a millisecond where parsing takes two), so the bytes stay
 * with the caller.
 */

/** Bodies above this size go to the thread, in bytes. */
export const LARGE_BODY_BYTES = 131_072;
/** Large bodies that may wait; more are turned away, because each holds its bytes twice. */
export const MOST_WAITING = 64;
const MOST_WAITING_BYTES = 67_108_864;
/** A thread that needs longer over one body is put down. */
export const READ_DEADLINE_MS = 5_000;
/** Its first body waits for the thread's own start as well, which on a crowded machine takes longer than any reading. */
export const FIRST_READ_DEADLINE_MS = 30_000;

/** What runs the reading: a thread, or a stand-in of one in a test. */
export interface ReadingThread extends Pick<EventEmitter, 'on'> {
  postMessage(work: BodyWork, transfer: ArrayBuffer[]): void;
  terminate(): Promise<number>;
}

interface Waiting {
  readonly work: BodyWork;
  readonly answer: (read: Ask | Fault) => void;
}

export class BodyPool {
  readonly #clock: Clock;
  readonly #limits: BodyLimits;
  readonly #start: () => ReadingThread;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #current: Waiting | undefined;
  #thread: ReadingThread | undefined;
  #deadline: Timer | undefined;
  #closed = false;

  constructor(parts: { clock: Clock; limits?: BodyLimits; start?: () => ReadingThread }) {
    this.#clock = parts.clock;
    this.#limits = parts.limits ?? DEFAULT_BODY_LIMITS;
    this.#start = parts.start ?? (() => startThread('body', import.meta.url));
  }

  /**
   * What the reader of this name says of `bytes`: at once for a small body, as a promise (that never rejects) for a large one.
   * Besides its faults: `too-many-at-once` when too many large bodies wait, `internal` when the thread died over this
   * one, `shutting-down` after `close`.
   */
  read<N extends ReaderName>(name: N, bytes: Buffer): Read<N> | Fault | Promise<Read<N> | Fault> {
    if (bytes.length <= LARGE_BODY_BYTES) return READERS[name](bytes, this.#limits) as Read<N> | Fault;
    if (this.#closed) return new Fault('shutting-down');
    if (this.#waiting.length >= MOST_WAITING || this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) {
      return new Fault('too-many-at-once', { outer: 'Too many large requests at once.', retryAfterS: 1 });
    }
    return new Promise((resolve) => {
      this.#waiting.push({
        work: { reader: name, bytes: new Uint8Array(bytes), limits: this.#limits },
        // What the thread answers to a reader's name is what that reader returns.
        answer: (read) => resolve(read as Read<N> | Fault),
      });
      this.#waitingBytes += bytes.length;
      this.#next();
    });
  }

  /** Stops the thread; what waits is answered with `shutting-down`. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#deadline?.cancel();
    const thread = this.#thread;
    this.#thread = undefined;
    const left = [...(this.#current ? [this.#current] : []), ...this.#waiting.splice(0)];
    this.#current = undefined;
    for (const { answer } of left) answer(new Fault('shutting-down'));
    await thread?.terminate();
  }

  /** One at a time: a death costs one request, and the thread's queue stays ours to bound. */
  #next(): void {
    if (this.#current || this.#closed) return;
    const next = this.#waiting.shift();
    if (!next) return;
    this.#waitingBytes -= next.work.bytes.byteLength;
    this.#current = next;
    const deadlineMs = this.#thread ? READ_DEADLINE_MS : FIRST_READ_DEADLINE_MS;
    let thread: ReadingThread;
    try {
      thread = this.#thread ?? this.#open();
    } catch {
      this.#answer(new Fault('internal', { inner: 'the thread that reads bodies did not start' }));
      return;
    }
    this.#deadline = this.#clock.after(deadlineMs, () => this.#died(thread));
    thread.postMessage(next.work, [next.work.bytes.buffer as ArrayBuffer]);
  }

  #open(): ReadingThread {
    const thread = this.#start();
    this.#thread = thread;
    thread.on('message', (read: BodyRead) => {
      if (thread !== this.#thread) return;
      this.#answer('request' in read ? read.request : faultOf(read.fault));
    });
    thread.on('error', () => this.#died(thread));
    thread.on('exit', () => this.#died(thread));
    return thread;
  }

  #answer(read: Ask | Fault): void {
    this.#deadline?.cancel();
    const current = this.#current;
    this.#current = undefined;
    current?.answer(read);
    this.#next();
  }

  /** The thread is gone or hung. The body it was reading is refused; the next one gets a new thread. */
  #died(thread: ReadingThread): void {
    if (this.#closed || thread !== this.#thread) return;
    this.#thread = undefined;
    thread.terminate().catch(() => undefined);
    this.#answer(new Fault('internal', { inner: 'the thread that reads bodies died' }));
  }
}

function faultOf(parts: { code: string; outer: string | undefined; param: string | undefined }): Fault {
  return new Fault(parts.code, {
    ...(parts.outer !== undefined && { outer: parts.outer }),
    ...(parts.param !== undefined && { param: parts.param }),
  });
}
