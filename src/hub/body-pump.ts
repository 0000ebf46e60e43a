import { encodeFrame, FRAME, MAX_FRAME_PAYLOAD_BYTES } from '#wire/agent/frames.ts';
import type { Transport } from './transport.ts';

/**
 * Sends request bodies to an agent in fragments, one stream after the other in turn, and only while little waits in the
 * socket: a long prompt is never in front of another stream's job, cancel or credit.
 */
export class BodyPump {
  readonly #transport: Transport;
  readonly #sendAheadBytesMax: number;
  readonly #waiting: { stream: number; body: Buffer; at: number }[] = [];

  constructor(transport: Transport, sendAheadBytesMax: number) {
    this.#transport = transport;
    this.#sendAheadBytesMax = sendAheadBytesMax;
  }

  add(stream: number, body: Buffer): void {
    this.#waiting.push({ stream, body, at: 0 });
    this.pump();
  }

  /** The stream needs the rest of its body no more. */
  drop(stream: number): void {
    const index = this.#waiting.findIndex((each) => each.stream === stream);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** Sends what the socket has room for. Called when a body is added and when the socket has drained. */
  pump(): void {
    while (this.#transport.bufferedBytes < this.#sendAheadBytesMax) {
      const next = this.#waiting.shift();
      if (!next) return;
      const until = Math.min(next.body.length, next.at + MAX_FRAME_PAYLOAD_BYTES);
      this.#transport.send(encodeFrame(FRAME.body, next.stream, next.body.subarray(next.at, until)));
      next.at = until;
      if (until < next.body.length) this.#waiting.push(next);
    }
  }
}
