// An OpenAI-compatible model server on bare TCP sockets: it must cost far less than any gateway under test.
// What it answers stands in payloads.mjs. It also answers
//   GET /v1/models, /health   for agents that look whether their backend is well
//   GET /ctl/diary            events written, and when the client of a tagged stream was seen to leave
//                             (of streams that have ended, which are then forgotten)
//
// usage: node mock-upstream.mjs <model id>; prints `@@{"port":…}` when it listens
import net from 'node:net';
import {
  COMPLETION,
  EMBEDDINGS,
  FINISH_CHUNK,
  orderIn,
  TOKEN_CHUNKS,
  TOKENS,
  usageChunk,
  writingIn,
} from './payloads.mjs';

const [model = 'bench-backend'] = process.argv.slice(2);
const TICK_MS = 5;

const head = (type, more) => `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${more}\r\n\r\n`;
const whole = (text) =>
  Buffer.from(head('application/json', `content-length: ${Buffer.byteLength(text)}`) + text);
const piece = (text) => Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
const event = (json) => piece(`data: ${json}\n\n`);

const HEADER_END = Buffer.from('\r\n\r\n');
const PLAIN = whole(COMPLETION);
const VECTORS = { base64: whole(EMBEDDINGS.base64), float: whole(EMBEDDINGS.float) };
const MODELS = whole(
  JSON.stringify({ object: 'list', data: [{ id: model, object: 'model', owned_by: 'bench' }] }),
);
const HEALTHY = whole('{"status":"ok"}');
const STREAM_HEAD = Buffer.from(
  head('text/event-stream', 'cache-control: no-cache\r\ntransfer-encoding: chunked'),
);
const TOKEN_EVENTS = TOKEN_CHUNKS.map(event);
const FIRST = Buffer.concat([STREAM_HEAD, TOKEN_EVENTS[0]]);
const endings = new Map();
/** Finish, usage, `[DONE]` and the end of the body. */
function ending(tokens) {
  let bytes = endings.get(tokens);
  if (!bytes) {
    bytes = Buffer.concat([
      event(FINISH_CHUNK),
      event(usageChunk(tokens)),
      piece('data: [DONE]\n\n'),
      Buffer.from('0\r\n\r\n'),
    ]);
    endings.set(tokens, bytes);
  }
  return bytes;
}
const BURST = Buffer.concat([STREAM_HEAD, ...TOKEN_EVENTS, ending(TOKENS)]);

const live = new Set();
let diary = [];
let eventsWritten = 0;
let tick = 0;

// All streams of one pace step together, as the sequences of an inference engine's batch do.
setInterval(() => {
  tick += 1;
  for (const stream of live) {
    if (tick % stream.everyTicks !== 0) continue;
    if (stream.sent < stream.tokens) {
      stream.socket.write(TOKEN_EVENTS[stream.sent % TOKENS]);
      stream.sent += 1;
      eventsWritten += 1;
      stream.page?.writtenNs.push(String(process.hrtime.bigint()));
    } else {
      stream.socket.write(ending(stream.tokens));
      live.delete(stream);
      stream.socket.stream = null;
      if (stream.page) stream.page.finished = true;
    }
  }
}, TICK_MS);

function beginStream(socket, { paceMs, tokens, tag }) {
  const page = tag === null ? null : { tag, writtenNs: [], goneNs: null, finished: false };
  if (page) diary.push(page);
  const stream = { socket, sent: 1, tokens, everyTicks: Math.max(1, Math.round(paceMs / TICK_MS)), page };
  socket.write(FIRST);
  eventsWritten += 1;
  page?.writtenNs.push(String(process.hrtime.bigint()));
  socket.stream = stream;
  live.add(stream);
}

/** Hands out what is written of streams that have ended. */
function endedPages() {
  const ended = diary.filter((page) => page.finished || page.goneNs !== null);
  diary = diary.filter((page) => !ended.includes(page));
  return ended;
}

function answer(socket, path, body) {
  if (path.startsWith('/ctl/diary')) {
    socket.write(whole(JSON.stringify({ eventsWritten, live: live.size, pages: endedPages() })));
  } else if (path.startsWith('/v1/models')) socket.write(MODELS);
  else if (path.startsWith('/health')) socket.write(HEALTHY);
  else if (path.startsWith('/v1/embeddings')) socket.write(VECTORS[writingIn(body)]);
  else if (!body.includes('"stream":true')) socket.write(PLAIN);
  else {
    const order = orderIn(body);
    if (order.paceMs > 0) beginStream(socket, order);
    else {
      eventsWritten += TOKENS;
      socket.write(BURST);
    }
  }
}

function clientGone(socket) {
  const stream = socket.stream;
  if (!stream) return;
  socket.stream = null;
  live.delete(stream);
  if (stream.page) stream.page.goneNs = String(process.hrtime.bigint());
}

/** The end of the request that begins `buffer`, or 0 when it is not whole yet. */
function endOfRequest(buffer, headerEnd, header) {
  const length = /\r\ncontent-length: *(\d+)/i.exec(header);
  if (length) {
    const end = headerEnd + 4 + Number(length[1]);
    return buffer.length < end ? 0 : end;
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(header)) {
    const last = buffer.indexOf('0\r\n\r\n', headerEnd + 2, 'latin1');
    return last < 0 ? 0 : last + 5;
  }
  return headerEnd + 4;
}

const server = net.createServer({ noDelay: true }, (socket) => {
  // Pieces are joined only when something can be made of them: a long prompt arrives in many.
  let pieces = [];
  let held = 0;
  let needed = 0;
  socket.stream = null;
  socket.on('data', (bytes) => {
    pieces.push(bytes);
    held += bytes.length;
    if (held < needed) return;
    let buffer = pieces.length === 1 ? bytes : Buffer.concat(pieces);
    for (;;) {
      const headerEnd = buffer.indexOf(HEADER_END);
      const header = headerEnd < 0 ? '' : buffer.latin1Slice(0, headerEnd);
      const end = headerEnd < 0 ? 0 : endOfRequest(buffer, headerEnd, header);
      if (end === 0) {
        const length = /\r\ncontent-length: *(\d+)/i.exec(header);
        needed = length ? headerEnd + 4 + Number(length[1]) : 0;
        break;
      }
      answer(socket, header.split(' ', 2)[1] ?? '/', buffer.subarray(headerEnd + 4, end));
      buffer = buffer.subarray(end);
      needed = 0;
      if (buffer.length === 0) break;
    }
    pieces = buffer.length > 0 ? [buffer] : [];
    held = buffer.length;
  });
  for (const name of ['close', 'error', 'end']) socket.on(name, () => clientGone(socket));
});
server.listen(0, '127.0.0.1', () => console.log(`@@${JSON.stringify({ port: server.address().port })}`));
