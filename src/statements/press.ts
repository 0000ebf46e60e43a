import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { startThread } from '#kit/thread.ts';
import type { DocumentBody } from '#wire/documents.ts';
import type { SlaPaper } from './pdf.ts';
import type { Printed, PrintWork } from './pdf.worker.ts';

/**
 * Prints documents in a thread: reading a font takes longer than any stream may stand still. One document at a time, each in
 * a thread of its own that ends with it, because documents are asked for seldom.
 */
export class Press {
  readonly #clock: Clock;
  readonly #fontFile: string | undefined;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: { clock: Clock; fontFile: string | undefined }) {
    this.#clock = parts.clock;
    this.#fontFile = parts.fontFile;
  }

  /** The document as PDF. Faults: `too-many-at-once` when many are asked for, `internal` when it cannot be printed. */
  async print(body: DocumentBody | SlaPaper): Promise<Buffer> {
    if (this.#waiting >= WAITING_MAX) {
      throw new Fault('too-many-at-once', { outer: 'Too many documents are being printed.', retryAfterS: 2 });
    }
    this.#waiting += 1;
    const before = this.#last;
    const printed = (async () => {
      await before;
      try {
        return await this.#inThread({ body, fontFile: this.#fontFile });
      } finally {
        this.#waiting -= 1;
      }
    })();
    this.#last = printed.catch(() => {});
    return await printed;
  }

  async #inThread(work: PrintWork): Promise<Buffer> {
    const thread = startThread('pdf', import.meta.url);
    try {
      const printed = await new Promise<Printed>((resolve, reject) => {
        const timer = this.#clock.after(PRINT_MS, () => reject(cannot('It took too long.')));
        thread.on('message', (answer: Printed) => {
          timer.cancel();
          resolve(answer);
        });
        thread.on('error', (error) => {
          timer.cancel();
          reject(cannot(error instanceof Error ? error.message : String(error)));
        });
        thread.postMessage(work, []);
      });
      if ('failed' in printed) throw cannot(printed.failed);
      return Buffer.from(printed.pdf);
    } finally {
      await thread.terminate();
    }
  }
}

const WAITING_MAX = 32;
const PRINT_MS = 60_000;

function cannot(why: string): Fault {
  return new Fault('internal', { inner: `A document cannot be printed: ${why}` });
}
