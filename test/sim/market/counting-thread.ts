import { EventEmitter } from 'node:events';
import type { CountingThread } from '#gateway/recount.ts';
import type { RecountWork } from '#gateway/recount-answer.ts';
import { saidByCompletion, saidByEvents } from '#gateway/said.ts';
import type { ExactCount } from '#gateway/verdict.ts';
import type { Clock } from '#kit/clock.ts';

/** How the simulated models cut text into tokens: one token a word. */
export function wordsIn(text: string): number {
  let words = 0;
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const space = text.charCodeAt(i) <= 0x20;
    if (!space && !inside) words += 1;
    inside = !space;
  }
  return words;
}

/** The thread that counts tokens, without a thread: it takes virtual time, may hang over an answer, and may die of one. */
export class SimulatedCounting extends EventEmitter implements CountingThread {
  readonly #clock: Clock;
  readonly #fate: () => 'well' | 'hangs' | 'dies';
  readonly #takesMs: () => number;

  constructor(clock: Clock, fate: () => 'well' | 'hangs' | 'dies', takesMs: () => number) {
    super();
    this.#clock = clock;
    this.#fate = fate;
    this.#takesMs = takesMs;
  }

  postMessage(work: RecountWork): void {
    const fate = this.#fate();
    if (fate === 'hangs') return;
    this.#clock.after(this.#takesMs(), () => {
      if (fate === 'dies') this.emit('exit', 1);
      else this.emit('message', count(work));
    });
  }

  terminate(): Promise<number> {
    return Promise.resolve(0);
  }
}

function count(work: RecountWork): ExactCount {
  const said = work.streamed ? saidByEvents(work.answer) : saidByCompletion(work.answer);
  const { messages } = JSON.parse(Buffer.from(work.request).toString()) as {
    messages: { content: string }[];
  };
  return {
    inputTokens: messages.reduce((sum, message) => sum + wordsIn(message.content), 0),
    outputTokens: said.opaque ? undefined : said.texts.reduce((sum, text) => sum + wordsIn(text), 0),
    stopTokens: said.stopped,
    complete: said.complete,
  };
}
