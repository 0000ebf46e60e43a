import type { Answer } from '#hub/link.ts';

/**
 * What was passed on, measured without parsing it: the bytes of an event beyond its envelope bound the content, and the
 * events themselves are kept (up to a bound) only where the model's vocabulary is known, so that a worker can count the
 * tokens exactly afterwards.
 */

/**
 * The size of the smallest event that can carry content for this completion: whatever an event has beyond it may be
 * content. The shape is the one OpenAI documents for a chat completion chunk.
 */
export function envelopeBytes(completionId: string, modelId: string): number {
  return SMALLEST_EVENT_BYTES + completionId.length + modelId.length;
}

const SMALLEST_EVENT_BYTES = Buffer.byteLength(
  'data: {"id":"","object":"chat.completion.chunk","created":1000000000,"model":"","choices":[{"index":0,"delta":{"content":""}}]}\n\n',
);

/** UTF-8 bytes of everything a model wrote in an unstreamed completion: text, reasoning, tool calls. */
export function contentBytesOf(answer: Answer): number {
  let bytes = 0;
  for (const choice of answer['choices'] as unknown[]) {
    const message = (choice as { message?: Record<string, unknown> } | null)?.message ?? {};
    for (const field of ['content', 'reasoning_content', 'reasoning', 'refusal']) {
      const text = message[field];
      if (typeof text === 'string') bytes += Buffer.byteLength(text);
    }
    if (Array.isArray(message['tool_calls']))
      bytes += Buffer.byteLength(JSON.stringify(message['tool_calls']));
  }
  return bytes;
}

/** The events of one answer, as they were passed on, up to a bound. */
export class DeliveredText {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(events: Buffer): void {
    this.#bytes += events.length;
    // A copy: the events are a view of a whole message, which would be kept with them.
    if (this.#bytes <= this.#bytesMax) this.#parts.push(Buffer.from(events));
    else this.#parts = [];
  }

  /** The events, or undefined when they were more than is kept: such an answer is not recounted. */
  get events(): Buffer | undefined {
    return this.#bytes <= this.#bytesMax ? Buffer.concat(this.#parts) : undefined;
  }
}
