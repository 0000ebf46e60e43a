import type { IncomingMessage, ServerResponse } from 'node:http';
import { Fault } from '#kit/fault.ts';
import { HttpReply, type ReplyWriter } from './http-reply.ts';
import { admit, type Caller, type InferenceRooms, serveChat } from './inference.ts';
import { sendError } from './send-error.ts';

/**
 * `POST /v1/chat/completions` straight on node:http: the one route where every microsecond is paid for by somebody. The
 * key is judged on the headers, before the body is read; a body that is too large is refused as soon as that is known.
 */
export function chatEndpoint(
  rooms: InferenceRooms,
  options: { bodyBytesMax: number; writer: ReplyWriter; closing: () => boolean },
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const requestId = rooms.ids('req');
    const reply = new HttpReply(response, options.writer, requestId);
    let caller: Caller;
    try {
      if (options.closing()) throw new Fault('shutting-down', { retryAfterS: 2 });
      caller = admit(rooms, request.headers.authorization, requestId);
    } catch (error) {
      refuse(request, reply, asFault(error));
      return;
    }
    readBody(request, reply, options.bodyBytesMax, (body) => {
      if (body instanceof Fault) {
        caller.leave();
        refuse(request, reply, body);
        return;
      }
      void serveChat(rooms, caller, body, reply);
    });
  };
}

/** How long a refused client may go on sending before the connection is cut. */
const REFUSED_BODY_BYTES_MAX = 1_048_576;

/**
 * Collects the body. `done` is called once: with the bytes, or with the fault that ends the request. A client that
 * disappears in the middle is a fault too (nobody reads the answer).
 */
function readBody(
  request: IncomingMessage,
  reply: HttpReply,
  bytesMax: number,
  done: (body: Buffer | Fault) => void,
): void {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return done(new Fault('encoding-unsupported'));
  const stated = request.headers['content-length'];
  if (stated !== undefined && Number(stated) > bytesMax) return done(new Fault('body-too-large'));
  let parts: Buffer[] = [];
  let size = 0;
  let over = false;
  const finish = (body: Buffer | Fault): void => {
    over = true;
    parts = [];
    reply.onGone = undefined;
    done(body);
  };
  request.on('data', (part: Buffer) => {
    if (over) return;
    size += part.length;
    if (size > bytesMax) finish(new Fault('body-too-large'));
    else parts.push(part);
  });
  request.on('end', () => {
    if (!over) finish(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  });
  const gone = (): void => {
    if (!over) finish(new Fault('client-left'));
  };
  reply.onGone = gone;
}

/**
 * Answers before the body was read. What the client still sends is thrown away for a while, so that it can read the
 * refusal instead of meeting a reset; one that goes on and on is cut.
 */
function refuse(request: IncomingMessage, reply: HttpReply, fault: Fault): void {
  if (request.complete) return sendError(reply, fault);
  sendError(reply, fault, ['connection', 'close']);
  let thrownAway = 0;
  request.on('data', (part: Buffer) => {
    thrownAway += part.length;
    if (thrownAway > REFUSED_BODY_BYTES_MAX + Number(request.headers['content-length'] ?? 0))
      request.destroy();
  });
  request.resume();
}

function asFault(error: unknown): Fault {
  return error instanceof Fault ? error : new Fault('internal', { cause: error });
}
