import { FRAME_HEADER_BYTES, writeFrameHeader } from '#wire/agent/frames.ts';

/**
 * The frames of a link between two gateways: those of `cygnet.stream.v1` (`#wire/agent/frames.ts`), both ways. Either side
 * may send jobs; the numbers of streams are chosen by whoever asks, so the same number may name one stream each way, and
 * the type of a frame tells which is meant. What differs from an agent's:
 *
 * - `data` has a prefix of three u32: events, tokens, and bytes that the model wrote, as the hub has counted them. It holds
 *   whole events, however large: their form was checked by the hub.
 * - the `job` header also names the link that is meant, and what the answer must hold.
 * - `end` is the end of the attempt as the hub saw it.
 *
 * Text messages between the frames say who is connected (`news.ts`).
 */
export const PEER_PREFIX_BYTES = 12;
/** An event is at most 1 MiB, and may carry others held back before it. */
export const PEER_PAYLOAD_BYTES_MAX = 4 * 1_048_576;
export const PEER_DATA = 0x15;

/** Writes a `data` frame of a link between gateways. */
export function encodePeerData(
  stream: number,
  counts: { readonly events: number; readonly tokens: number; readonly contentBytes: number },
  sse: Uint8Array,
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + PEER_PREFIX_BYTES + sse.length);
  writeFrameHeader(frame, 0, PEER_DATA, stream, PEER_PREFIX_BYTES + sse.length);
  frame.writeUInt32LE(counts.events, FRAME_HEADER_BYTES);
  frame.writeUInt32LE(counts.tokens, FRAME_HEADER_BYTES + 4);
  frame.writeUInt32LE(counts.contentBytes, FRAME_HEADER_BYTES + 8);
  frame.set(sse, FRAME_HEADER_BYTES + PEER_PREFIX_BYTES);
  return frame;
}
