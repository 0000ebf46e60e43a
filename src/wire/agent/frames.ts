import type { Operation } from '#domain/operation.ts';
import { assert } from '#kit/assert.ts';

/**
 * The binary frames of the `cygnet.stream.v1` extension (docs/protocol.md).
 *
 * A WebSocket binary message holds one or more frames; a frame never spans two messages. Numbers are little-endian.
 *
 *     u8 type · u32 stream · u32 payload length · payload
 *
 * `stream` is chosen by the hub, never reused on one connection, and names one attempt.
 */
export const FRAME = {
  /** hub → agent. Payload: `JobHeader` as JSON. */
  job: 0x01,
  /** hub → agent. Payload: the next bytes of the request body, until `JobHeader.body_bytes` have been sent. */
  body: 0x02,
  /** hub → agent. No payload. Answered by `end` with the exact usage. */
  cancel: 0x03,
  /** hub → agent. Payload: u32, further bytes of `data` the agent may send on this stream. */
  credit: 0x04,
  /** agent → hub. Payload: u16 events · u16 tokens · whole server-sent events (`data: {…}\n\n`). */
  data: 0x11,
  /** agent → hub. Payload: the next bytes of an unstreamed answer. */
  result: 0x12,
  /** agent → hub. Payload: `JobEnd` as JSON. The last frame of a stream. */
  end: 0x13,
  /** agent → hub, stream 0. No payload. No new jobs, please; the ones under way will be finished. */
  drain: 0x14,
} as const;

export const FRAME_HEADER_BYTES = 9;
/** `u16 events · u16 tokens` before the events of a `data` frame. */
export const DATA_PREFIX_BYTES = 4;
/** Neither side puts more than this into one frame, so that streams interleave. */
export const MAX_FRAME_PAYLOAD_BYTES = 16_384;
/** What an agent lists in `capabilities`, and a hub in the `extensions` of its register ack, to speak these frames. */
export const STREAM_EXTENSION = 'cygnet.stream.v1';
/** What an agent lists in `capabilities` that is connected to several gateways of one market at once. */
export const SEVERAL_LINKS = 'cygnet.several.v1';

/**
 * What a `job` frame says. The body follows in `body` frames, as the consumer sent it: JSON, or for `audio/transcriptions`
 * the recording itself, whose fields (`filename`, `language`, …) are in `set`.
 */
export interface JobHeader {
  /** Our id of this attempt; fresh for each try. */
  attempt: string;
  /** The catalogue's model id: what the answer must carry as `model`. */
  model: string;
  /** What the answer must carry as `id`. */
  completion: string;
  /** What the answer must carry as `created` (Unix seconds). */
  created: number;
  operation: Operation;
  stream: boolean;
  /** Fields that replace those of the body. */
  set: Record<string, unknown>;
  body_bytes: number;
  /** Bytes of `data` that may be sent before more credit comes. */
  credit: number;
  /** The hub gives up after this many milliseconds. */
  deadline_ms: number;
}

/** What an `end` frame says. */
export interface JobEnd {
  /** 200 when the answer is complete; 499 when the hub cancelled; otherwise what went wrong, as an HTTP status. */
  status: number;
  finish_reason?: string | null;
  /** Exact counts of what was read and generated, after a cancel too. */
  usage?: { prompt_tokens: number; completion_tokens: number };
  /** Why, in an OpenAI error code where one exists: `context_length_exceeded`. */
  code?: string;
  /** For the operator's log; never shown to a consumer. */
  error?: string;
}

/** Writes one frame. */
export function encodeFrame(type: number, stream: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(frame, 0, type, stream, payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** Writes a frame whose payload is a JSON document. */
export function encodeJsonFrame(type: number, stream: number, value: unknown): Buffer {
  const text = JSON.stringify(value);
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  writeFrameHeader(frame, 0, type, stream, length);
  frame.write(text, FRAME_HEADER_BYTES);
  return frame;
}

/** Writes a `data` frame: `sse` holds `events` whole events that carry `tokens` tokens. */
export function encodeDataFrame(stream: number, events: number, tokens: number, sse: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + DATA_PREFIX_BYTES + sse.length);
  writeFrameHeader(frame, 0, FRAME.data, stream, DATA_PREFIX_BYTES + sse.length);
  frame.writeUInt16LE(events, FRAME_HEADER_BYTES);
  frame.writeUInt16LE(tokens, FRAME_HEADER_BYTES + 2);
  frame.set(sse, FRAME_HEADER_BYTES + DATA_PREFIX_BYTES);
  return frame;
}

/** Writes a `credit` frame. */
export function encodeCreditFrame(stream: number, bytes: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32LE(bytes, 0);
  return encodeFrame(FRAME.credit, stream, payload);
}

/** Writes a frame header at `offset` of `target`, for senders that pack several frames into one buffer. */
export function writeFrameHeader(
  target: Buffer,
  offset: number,
  type: number,
  stream: number,
  length: number,
): void {
  assert(length >= 0 && stream >= 0 && stream <= 0xffff_ffff, 'a frame has a length and a stream');
  target[offset] = type;
  target.writeUInt32LE(stream, offset + 1);
  target.writeUInt32LE(length, offset + 5);
}

/**
 * Walks the frames of one message, without copying: `each` receives a view that is valid as long as `message` is.
 * Answers false, having called `each` for the frames before it, at the first frame that does not fit the message or
 * exceeds `maxPayload`: the sender does not speak this protocol.
 */
export function eachFrame(
  message: Buffer,
  maxPayload: number,
  each: (type: number, stream: number, payload: Buffer) => void,
): boolean {
  let offset = 0;
  while (offset < message.length) {
    if (message.length - offset < FRAME_HEADER_BYTES) return false;
    const type = message[offset] as number;
    const stream = message.readUInt32LE(offset + 1);
    const length = message.readUInt32LE(offset + 5);
    const start = offset + FRAME_HEADER_BYTES;
    const end = start + length;
    if (length > maxPayload || end > message.length) return false;
    each(type, stream, message.subarray(start, end));
    offset = end;
  }
  return true;
}
