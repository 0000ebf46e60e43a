import type { EventEmitter } from 'node:events';
import path from 'node:path';
import type { Price } from '#domain/price.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import { packageRoot } from '#kit/package-root.ts';
import { startThread } from '#kit/thread.ts';
import type { DeliveredText } from './delivered.ts';
import type { RecountWork } from './recount-answer.ts';
import type { ExactCount } from './verdict.ts';
import { readVocabularyIndex } from './vocabulary.ts';

/**
 * Counts finished answers exactly, in a thread of its own, where the model's vocabulary is known. It never delays a
 * request: what does not fit into its queue is not counted, which costs a check and no money (the charge was bounded by
 * what was delivered before).
 */
export interface Recounter {
  /** Can answers of this model (canonical id) be counted? If not, there is no need to keep them. */
  has(modelId: string): boolean;
  /** Takes an answer to be counted. Copies what it needs, returns at once, never throws. */
  submit(job: RecountJob): void;
  /** What became of the jobs so far. */
  readonly counts: Readonly<RecountCounts>;
  /** Stops the thread. What waits is dropped. */
  close(): Promise<void>;
}

/** A finished answer. */
export interface RecountJob {
  /** What was kept of the request; handed back with the count. */
  readonly record: UsageRecord;
  /** The price it was charged at; handed back too. */
  readonly price: Price;
  /** The JSON body of the request, for its messages. */
  readonly body: Uint8Array;
  /** What went to the consumer: the events of a stream, or an unstreamed completion as JSON. */
  readonly answer: DeliveredText | string;
}

/** A counted answer. `gateway/verdict.ts` judges it. */
export interface Recounted {
  readonly record: UsageRecord;
  readonly price: Price;
  readonly exact: ExactCount;
}

export interface RecountCounts {
  done: number;
  /** Pushed out of a full queue. */
  dropped: number;
  /** Larger than may be counted. */
  tooLarge: number;
  /** Could not be counted, or the thread died or hung over it. */
  failed: number;
}

/** Request and answer together, in bytes. A million bytes of the worst text take a few seconds. */
export const MOST_BYTES = 1_048_576;
export const MOST_WAITING = 256;
const MOST_WAITING_BYTES = 33_554_432;
/** A thread that needs longer over one answer is put down. */
export const COUNT_DEADLINE_MS = 20_000;
/** The wait before a new thread after one died, doubled for each that dies in a row. */
const RESTART_MS = 250;
const LONGEST_RESTART_MS = 60_000;

interface Waiting {
  readonly record: UsageRecord;
  readonly price: Price;
  readonly work: RecountWork;
  readonly bytes: number;
}

/** What runs the counting: a thread, or a stand-in of one in a test. */
export interface CountingThread extends Pick<EventEmitter, 'on'> {
  postMessage(work: RecountWork, transfer: ArrayBuffer[]): void;
  terminate(): Promise<number>;
}

/** Opens a recounter that tells each count to `onResult`. Throws when the list of vocabularies cannot be read. */
export function openRecounter(parts: {
  clock: Clock;
  onResult: (found: Recounted) => void;
  start?: () => CountingThread;
}): Recounter {
  return new ThreadedRecounter(
    parts.clock,
    parts.onResult,
    parts.start ?? (() => startThread('recount', import.meta.url)),
  );
}

class ThreadedRecounter implements Recounter {
  readonly counts: RecountCounts = { done: 0, dropped: 0, tooLarge: 0, failed: 0 };
  readonly #clock: Clock;
  readonly #onResult: (found: Recounted) => void;
  readonly #start: () => CountingThread;
  readonly #models: ReadonlySet<string>;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #current: Waiting | undefined;
  #deadline: Timer | undefined;
  #thread: CountingThread | undefined;
  #restart: Timer | undefined;
  #deaths = 0;
  #closed = false;

  constructor(clock: Clock, onResult: (found: Recounted) => void, start: () => CountingThread) {
    this.#clock = clock;
    this.#onResult = onResult;
    this.#start = start;
    const index = readVocabularyIndex(path.join(packageRoot(), 'data', 'tokenizers'));
    this.#models = new Set(index.map(({ modelId }) => modelId));
  }

  has(modelId: string): boolean {
    return this.#models.has(modelId);
  }

  submit(job: RecountJob): void {
    const { record, price, body } = job;
    if (this.#closed || !this.has(record.modelId)) return;
    const streamed = typeof job.answer !== 'string';
    const answer = typeof job.answer === 'string' ? Buffer.from(job.answer) : job.answer.events;
    const bytes = body.byteLength + (answer?.byteLength ?? 0);
    if (!answer || bytes > MOST_BYTES) {
      this.counts.tooLarge += 1;
      return;
    }
    const work = { modelId: record.modelId, streamed, request: copyOf(body), answer: copyOf(answer) };
    this.#waiting.push({ record, price, work, bytes });
    this.#waitingBytes += bytes;
    while (this.#waiting.length > MOST_WAITING || this.#waitingBytes > MOST_WAITING_BYTES) {
      this.#waitingBytes -= this.#waiting.shift()?.bytes ?? 0;
      this.counts.dropped += 1;
    }
    this.#next();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#restart?.cancel();
    this.#deadline?.cancel();
    this.counts.dropped += this.#waiting.length + (this.#current ? 1 : 0);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#current = undefined;
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }

  /** Hands the thread its next answer. One at a time, so that a death costs one. */
  #next(): void {
    if (this.#current || this.#restart || this.#closed) return;
    const next = this.#waiting.shift();
    if (!next) return;
    this.#waitingBytes -= next.bytes;
    this.#current = next;
    const thread = this.#thread ?? this.#open();
    if (!thread) return;
    this.#deadline = this.#clock.after(COUNT_DEADLINE_MS, () => this.#died(thread));
    // The copies made at submission are handed over, not copied again.
    const { request, answer } = next.work;
    thread.postMessage(next.work, [request.buffer as ArrayBuffer, answer.buffer as ArrayBuffer]);
  }

  #open(): CountingThread | undefined {
    let thread: CountingThread;
    try {
      thread = this.#start();
    } catch {
      this.#died(undefined);
      return undefined;
    }
    this.#thread = thread;
    thread.on('message', (exact: ExactCount | undefined) => this.#counted(thread, exact));
    thread.on('error', () => this.#died(thread));
    thread.on('exit', () => this.#died(thread));
    return thread;
  }

  #counted(thread: CountingThread, exact: ExactCount | undefined): void {
    const current = this.#current;
    if (thread !== this.#thread || !current) return;
    this.#deadline?.cancel();
    this.#current = undefined;
    this.#deaths = 0;
    if (exact) this.counts.done += 1;
    else this.counts.failed += 1;
    this.#next();
    if (exact) this.#onResult({ record: current.record, price: current.price, exact });
  }

  /** The thread is gone, or is put down because it hung. What it was counting is lost; the rest waits for a new one. */
  #died(thread: CountingThread | undefined): void {
    if (this.#closed || thread !== this.#thread) return;
    this.#thread = undefined;
    this.#deadline?.cancel();
    if (this.#current) this.counts.failed += 1;
    this.#current = undefined;
    // A thread that hangs may take a while to stop; nobody waits for it.
    thread?.terminate().catch(() => undefined);
    const waitMs = Math.min(LONGEST_RESTART_MS, RESTART_MS * 2 ** this.#deaths);
    this.#deaths = Math.min(this.#deaths + 1, 10);
    this.#restart = this.#clock.after(waitMs, () => {
      this.#restart = undefined;
      this.#next();
    });
  }
}

/** A copy that owns its memory, whatever larger buffer `bytes` is a window of. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
