import type { Hub } from '#hub/hub.ts';
import {
  eachFrame,
  encodeDataFrame,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type JobEnd,
  type JobHeader,
  STREAM_EXTENSION,
} from '#wire/agent/frames.ts';
import { MemoryTransport } from './memory-transport.ts';

/** A double of an agent that speaks `cygnet.stream.v1`, over a socket in memory. It does nothing by itself. */
export class StreamAgent {
  readonly transport = new MemoryTransport();
  /** Every frame the hub sent, in order. */
  readonly frames: { type: number; stream: number; payload: Buffer }[] = [];

  constructor(hub: Hub) {
    this.transport.toAgent = (data) => {
      if (typeof data === 'string') return;
      const whole = eachFrame(data, 16_384, (type, stream, payload) => {
        this.frames.push({ type, stream, payload: Buffer.from(payload) });
      });
      if (!whole) throw new Error('the hub sent what is not made of frames');
    };
    hub.attach(this.transport);
  }

  register(models: string[], over: Record<string, unknown> = {}): void {
    this.transport.arrive(
      JSON.stringify({
        type: 'register',
        request_id: 'r',
        payload: {
          node_id: 'cygnet-node',
          token: 'sk-prov-one',
          models,
          capabilities: ['inference', STREAM_EXTENSION],
          ...over,
        },
      }),
    );
  }

  /** The streams that were offered, with their headers. */
  get jobs(): { stream: number; header: JobHeader }[] {
    return this.of(FRAME.job).map(({ stream, payload }) => ({
      stream,
      header: JSON.parse(payload.toString()),
    }));
  }

  of(type: number, stream?: number): { stream: number; payload: Buffer }[] {
    return this.frames.filter(
      (each) => each.type === type && (stream === undefined || each.stream === stream),
    );
  }

  body(stream: number): string {
    return Buffer.concat(this.of(FRAME.body, stream).map((each) => each.payload)).toString();
  }

  event(header: JobHeader, content: string, over: Record<string, unknown> = {}): string {
    const chunk = {
      id: header.completion,
      object: 'chat.completion.chunk',
      created: header.created,
      model: header.model,
      choices: [{ index: 0, delta: { content }, finish_reason: null }],
      ...over,
    };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  }

  data(stream: number, events: string | Buffer, count = 1, tokens = count): void {
    this.transport.arrive(encodeDataFrame(stream, count, tokens, Buffer.from(events as string)));
  }

  result(stream: number, body: string): void {
    const bytes = Buffer.from(body);
    for (let at = 0; at < bytes.length; at += 16_384)
      this.frame(FRAME.result, stream, bytes.subarray(at, at + 16_384));
  }

  end(stream: number, end: JobEnd): void {
    this.transport.arrive(encodeJsonFrame(FRAME.end, stream, end));
  }

  frame(type: number, stream: number, payload: Uint8Array = new Uint8Array()): void {
    this.transport.arrive(encodeFrame(type, stream, payload));
  }
}
