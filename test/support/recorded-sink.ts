import type { Answer, AttemptEnd, AttemptSink } from '#hub/link.ts';

/** An attempt's sink that keeps all it is told, and says so when it is told something after the end. */
export class RecordedSink implements AttemptSink {
  readonly events: string[] = [];
  tokens = 0;
  contentBytes = 0;
  body: Buffer | undefined;
  completion: Answer | undefined;
  ending: AttemptEnd | undefined;
  #resolve: (end: AttemptEnd) => void = () => undefined;
  readonly ended = new Promise<AttemptEnd>((resolve) => {
    this.#resolve = resolve;
  });

  data(events: Buffer, eventCount: number, tokenCount: number, contentBytes = 0): void {
    if (this.ending) throw new Error('data after the end');
    const texts = events.toString().split('\n\n');
    if (texts.pop() !== '' || texts.length !== eventCount)
      throw new Error('events that do not match their count');
    this.events.push(...texts);
    this.tokens += tokenCount;
    this.contentBytes += contentBytes;
  }

  result(body: Buffer, completion: Answer): void {
    if (this.ending) throw new Error('a result after the end');
    this.body = body;
    this.completion = completion;
  }

  end(end: AttemptEnd): void {
    if (this.ending) throw new Error('two ends');
    this.ending = end;
    this.#resolve(end);
  }

  /** The events as JSON. */
  get chunks(): { id: string; model: string; choices: { delta: { content?: string } }[] }[] {
    return this.events.map((event) => JSON.parse(event.slice('data: '.length)));
  }

  /** The text of the answer. */
  get text(): string {
    return this.chunks
      .map((chunk) => chunk.choices.map((choice) => choice.delta.content ?? '').join(''))
      .join('');
  }
}
