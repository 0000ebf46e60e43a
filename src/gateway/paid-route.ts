import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyRecord } from '#domain/party.ts';
import { PROBER } from '#domain/prober.ts';
import { traceOf } from '#domain/trace.ts';
import { Fault } from '#kit/fault.ts';
import { PROBE_HEADER } from '#reliability/probe-door.ts';
import { type BodiesInHand, noRoom, type Room } from './bodies-in-hand.ts';
import type { ClientAddresses } from './client-address.ts';
import type { DebugLog } from './debug-log.ts';
import type { Ask, Endpoint } from './endpoint.ts';
import { readForm } from './form.ts';
import { HttpReply, type ReplyWriter } from './http-reply.ts';
import { admit, type Caller, consumerKey, type InferenceRooms, serve, type Whose } from './inference.ts';
import type { LoopGuard } from './loop-guard.ts';
import { noteRefusal } from './refusal-note.ts';
import type { Reply } from './reply.ts';
import { sendError } from './send-error.ts';
import { readTranscriptionRequest, type TranscriptionRequest } from './transcription-request.ts';
import { TranslatedReply } from './translate/translated-reply.ts';
import type { Translation } from './translate/translation.ts';

/**
 * Paid endpoints straight on node:http, where every microsecond is paid for by somebody. The key is judged on the
 * headers, before the body is read; a body that is too large is refused as soon as that is known.
 */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface RouteParts {
  readonly rooms: InferenceRooms;
  readonly writer: ReplyWriter;
  readonly closing: () => boolean;
  readonly loops: LoopGuard;
  /** Where a request comes from. */
  readonly addresses: ClientAddresses;
  /** The largest body, in bytes. */
  readonly bodyBytesMax: number;
  readonly inHand: BodiesInHand;
  /** What consumers want kept of what they ask; absent: nothing ever is. */
  readonly debug: DebugLog | undefined;
}

/** An endpoint whose body is JSON. */
export interface JsonRoute<A extends Ask> {
  readonly endpoint: Endpoint<A>;
  readonly read: (bytes: Buffer) => A | Fault | Promise<A | Fault>;
  /** Who asks; throws a `Fault` where nobody may. By default, whose key the headers carry. */
  readonly whose?: (request: IncomingMessage) => Whose;
  /** Another shape of the answer than the endpoint's own. */
  readonly translation?: Translation<A>;
}

export function jsonRoute<A extends Ask>(parts: RouteParts, route: JsonRoute<A>): Handler {
  return (request, response) => {
    open(parts, request, response, route, ({ caller, reply, translated }) => {
      const answer = translated ?? reply;
      readBody(
        request,
        reply,
        { bytesMax: parts.bodyBytesMax, fits: parts.inHand.next(response) },
        (body) => {
          if (body instanceof Fault) {
            bodyRefused(parts, route, caller, body);
            refuse(request, answer, body);
            return;
          }
          const read = route.read(body);
          const told = translated ? tell(read, translated) : read;
          answerTo(parts, route.endpoint, caller, told, body, answer);
        },
      );
    });
  };
}

/** The endpoint whose body is a form with a recording. */
export function formRoute(parts: RouteParts, endpoint: Endpoint<TranscriptionRequest>): Handler {
  return (request, response) => {
    open(parts, request, response, { endpoint }, ({ caller, reply }) => {
      readForm(
        request,
        reply,
        { bytesMax: parts.bodyBytesMax, fits: parts.inHand.next(response) },
        (form) => {
          if (form instanceof Fault) {
            bodyRefused(parts, { endpoint }, caller, form);
            refuse(request, reply, form);
            return;
          }
          answerTo(parts, endpoint, caller, readTranscriptionRequest(form), form.file, reply);
        },
      );
    });
  };
}

/** A request whose body did not come, or may not. */
function bodyRefused(
  { rooms }: RouteParts,
  { endpoint }: Pick<JsonRoute<Ask>, 'endpoint'>,
  caller: Caller,
  { code }: Fault,
): void {
  caller.leave();
  const { key, requestId, acceptedMs } = caller;
  noteRefusal(rooms, { key, requestId, acceptedMs, operation: endpoint.operation, code });
}

/** Serves a request whose body is here, and copies both for whoever wants that. */
function answerTo<A extends Ask>(
  { rooms, debug }: RouteParts,
  endpoint: Endpoint<A>,
  caller: Caller,
  read: A | Fault | Promise<A | Fault>,
  body: Buffer,
  reply: Reply,
): void {
  const { key, requestId } = caller;
  const copied =
    key.debugUntil === undefined
      ? undefined
      : debug?.copy(key, { requestId, endpoint: endpoint.name, body }, reply);
  if (copied) void serve(rooms, endpoint, caller, read, body, copied).then(() => copied.over());
  else void serve(rooms, endpoint, caller, read, body, reply);
}

/** Tells a translation what it is an answer to, once that was read. */
function tell<A extends Ask>(
  read: A | Fault | Promise<A | Fault>,
  translated: TranslatedReply<A>,
): A | Fault | Promise<A | Fault> {
  if (read instanceof Promise) return read.then((ask) => tell(ask, translated));
  if (!(read instanceof Fault)) translated.asked(read);
  return read;
}

interface Opened<A extends Ask> {
  readonly caller: Caller;
  readonly reply: HttpReply;
  readonly translated: TranslatedReply<A> | undefined;
}

/** Admits the caller, and goes on with `then` unless it was refused: within this call, where nobody had to be asked. */
function open<A extends Ask>(
  { rooms, writer, closing, addresses, loops }: RouteParts,
  request: IncomingMessage,
  response: ServerResponse,
  route: Pick<JsonRoute<A>, 'endpoint' | 'whose' | 'translation'>,
  then: (opened: Opened<A>) => void,
): void {
  const requestId = rooms.ids('req');
  const acceptedMs = rooms.clock.nowMs();
  const reply = new HttpReply(response, writer, requestId);
  const translated = route.translation && new TranslatedReply(reply, route.translation, requestId);
  let key: KeyRecord | undefined;
  const ends = (code: string): void => {
    const { operation } = route.endpoint;
    if (key) noteRefusal(rooms, { key, requestId, acceptedMs, operation, code });
    else rooms.refusals?.withoutKey(code);
  };
  try {
    const whose = route.whose?.(request) ?? { key: consumerKey(rooms.keys, request.headers.authorization) };
    ({ key } = whose);
    if (closing()) throw new Fault('shutting-down', { retryAfterS: 2 });
    const via = loops.pass(request.headers['cdn-loop']);
    const goOn = (admitted: Caller): void => {
      const trace = rooms.traced ? traceOf(request.headers['traceparent'], requestId) : undefined;
      const caller =
        via === undefined && !trace
          ? admitted
          : { ...admitted, ...(via !== undefined && { via }), ...(trace && { trace }) };
      const to = caller.key.id === PROBER.id ? request.headers[PROBE_HEADER] : undefined;
      then({ caller: typeof to === 'string' ? { ...caller, to } : caller, reply, translated });
    };
    const admitted = admit(rooms, whose, { requestId, acceptedMs }, () => addresses.of(request));
    if (admitted instanceof Promise) {
      const asked = async (): Promise<void> => {
        try {
          const caller = await admitted;
          // Whoever left while others were asked sends no body, and no event tells so any more.
          if (reply.gone) {
            caller.leave();
            ends('client-left');
          } else goOn(caller);
        } catch (error) {
          const fault = asFault(error);
          ends(fault.code);
          refuse(request, translated ?? reply, fault);
        }
      };
      void asked();
    } else goOn(admitted);
  } catch (error) {
    const fault = asFault(error);
    ends(fault.code);
    refuse(request, translated ?? reply, fault);
  }
}

/** A refused body of up to this stated length is read to its end, and the connection stays. */
const SKIPPED_BODY_BYTES_MAX = 65_536;
/** How long a refused client may go on sending before the connection is cut. */
const REFUSED_BODY_BYTES_MAX = 1_048_576;

/**
 * Collects the body. `done` is called once: with the bytes, or with the fault that ends the request. A client that
 * disappears in the middle is a fault too (nobody reads the answer).
 */
function readBody(
  request: IncomingMessage,
  reply: HttpReply,
  room: Room,
  done: (body: Buffer | Fault) => void,
): void {
  const { bytesMax, fits } = room;
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
    else if (!fits(size)) finish(noRoom());
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
 * refusal instead of meeting a reset; one that goes on and on is cut. After a short body the connection goes on: a client
 * that tries again, and a flood of bad keys even more so, would otherwise cost a new connection each time.
 */
function refuse(request: IncomingMessage, reply: Reply, fault: Fault): void {
  if (request.complete) return sendError(reply, fault);
  if (Number(request.headers['content-length']) <= SKIPPED_BODY_BYTES_MAX) {
    sendError(reply, fault);
    request.resume();
    return;
  }
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
