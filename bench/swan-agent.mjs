// A double of the Swan provider agent (generation C) that serves from precomputed answers: one JSON `stream_chunk` message for
// each token, as the original sends them. It plays the model server as well, so that what is measured of the gateway is the
// price of that protocol and not of a second hop. docs/protocol.md describes the messages.
//
// usage: node swan-agent.mjs <hub url> <model id>, key in INFERENCE_API_KEY; prints `@@{"port":…}`, the port of its diary
// (GET /ctl/diary, as mock-upstream.mjs has it), when the hub has accepted it
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { WebSocket } from 'ws';
import {
  COMPLETION,
  EMBEDDING_MODEL,
  EMBEDDINGS,
  FINISH_CHUNK,
  orderIn,
  TOKEN_CHUNKS,
  TOKENS,
  usageChunk,
} from './payloads.mjs';

const [hubUrl, model] = process.argv.slice(2);
const token = process.env.INFERENCE_API_KEY;
const MODELS = [model, EMBEDDING_MODEL];
const TICK_MS = 5;
const HEARTBEAT_MS = 30_000;
const PING_MS = 54_000;
const NODE_ID = '04'.padEnd(130, 'b');
const DETAILS = '"prompt_tokens_details":{"cached_tokens":0}';

const live = new Map();
let diary = [];
let eventsWritten = 0;
let tick = 0;
let registered = false;
const socket = new WebSocket(`${hubUrl}/ws`, { perMessageDeflate: false });

// The request id is spliced into text made once; the original adds `prompt_tokens_details` to every usage.
const chunkMessage = (id, chunk) =>
  `{"type":"stream_chunk","request_id":"${id}","payload":{"request_id":"${id}","chunk":${chunk},"done":false}}`;
const doneMessage = (id) =>
  `{"type":"stream_chunk","request_id":"${id}","payload":{"request_id":"${id}","chunk":null,"done":true}}`;
const endMessage = (id, tokens, latencyMs) =>
  `{"type":"stream_end","request_id":"${id}","payload":{"request_id":"${id}","latency_ms":${latencyMs},` +
  `"tokens_input":200,"tokens_output":${tokens}}}`;
const resultMessage = (id, response) =>
  `{"type":"ack","request_id":"${id}","payload":{"request_id":"${id}","response":${response},"latency_ms":1}}`;
const withDetails = (json) => json.replace(/("total_tokens":\d+)/, `$1,${DETAILS}`);
const PLAIN = withDetails(COMPLETION);
const usageChunks = new Map();
function usageOf(tokens) {
  if (!usageChunks.has(tokens)) usageChunks.set(tokens, withDetails(usageChunk(tokens)));
  return usageChunks.get(tokens);
}

const send = (type, requestId, payload) =>
  socket.send(JSON.stringify({ type, request_id: requestId, payload }));

function register() {
  send('register', randomUUID(), {
    node_id: NODE_ID,
    provider_id: NODE_ID,
    node_name: 'bench-swan',
    worker_addr: NODE_ID,
    owner_addr: '',
    token,
    models: MODELS,
    model_hashes: MODELS.map((id) => ({ model_id: id })),
    model_declarations: [
      declaration(model, { type: 'text', streaming: true }),
      declaration(EMBEDDING_MODEL, { type: 'embeddings', streaming: false }),
    ],
    capabilities: ['inference', 'verification'],
    hardware: {
      gpu_type: 'H100',
      gpu_model: 'NVIDIA H100',
      vram_gb: 79,
      gpu_count: 1,
      serving_engine: 'vllm',
    },
    cp_version: '0.6.0',
    commit: 'bench',
  });
}

const declaration = (id, modality) => ({
  schema_version: '1',
  model_id: id,
  capacity: [{ type: 'concurrency', unit: 'request', value: 4096 }],
  output_modalities: [modality],
});

const health = () => ({
  node_id: NODE_ID,
  provider_id: NODE_ID,
  model_health: Object.fromEntries(MODELS.map((id) => [id, 'healthy'])),
});

function heartbeat() {
  if (!registered) return;
  send('heartbeat', randomUUID(), {
    ...health(),
    timestamp: Math.floor(Date.now() / 1000),
    metrics: { active_requests: live.size },
    models: MODELS,
  });
}

function onAck(payload) {
  if (registered) return;
  if (payload.success !== true) {
    console.error(`the hub refused the registration: ${payload.message}`);
    process.exit(1);
  }
  registered = true;
  send('model_health_update', undefined, { ...health(), timestamp: Math.floor(Date.now() / 1000) });
  control.listen(0, '127.0.0.1', () => console.log(`@@${JSON.stringify({ port: control.address().port })}`));
}

function onInference(id, payload) {
  if (!payload.stream) {
    const vectors = payload.operation === 'embeddings';
    socket.send(resultMessage(id, vectors ? EMBEDDINGS[payload.request.encoding_format] : PLAIN));
    return;
  }
  const order = orderIn(payload.request.messages[0].content);
  const page = order.tag === null ? null : { tag: order.tag, writtenNs: [], goneNs: null, finished: false };
  if (page) diary.push(page);
  const stream = {
    sent: 0,
    tokens: order.tokens,
    everyTicks: Math.max(1, Math.round(order.paceMs / TICK_MS)),
    begunMs: Date.now(),
    page,
  };
  if (order.paceMs === 0) {
    while (stream.sent < stream.tokens) sendToken(id, stream);
    endStream(id, stream);
    return;
  }
  live.set(id, stream);
  sendToken(id, stream);
}

function sendToken(id, stream) {
  socket.send(chunkMessage(id, TOKEN_CHUNKS[stream.sent % TOKENS]));
  stream.sent += 1;
  eventsWritten += 1;
  stream.page?.writtenNs.push(String(process.hrtime.bigint()));
}

function endStream(id, stream) {
  live.delete(id);
  if (stream.page) stream.page.finished = true;
  socket.send(chunkMessage(id, FINISH_CHUNK));
  socket.send(chunkMessage(id, usageOf(stream.tokens)));
  socket.send(doneMessage(id));
  socket.send(endMessage(id, stream.tokens, Date.now() - stream.begunMs));
}

function onCancel(id) {
  const stream = live.get(id);
  if (!stream) return;
  live.delete(id); // a cancelled request gets no further message
  if (stream.page) stream.page.goneNs = String(process.hrtime.bigint());
}

socket.on('open', register);
socket.on('message', (bytes) => {
  const { type, request_id: id, payload } = JSON.parse(/** @type {Buffer} */ (bytes).toString());
  if (type === 'inference') onInference(id ?? payload.request_id, payload);
  else if (type === 'cancel') onCancel(payload.request_id ?? id);
  else if (type === 'ack') onAck(payload);
  else if (type === 'error') console.error(`the hub says: ${payload.code} ${payload.message}`);
});
socket.on('error', (error) => console.error(String(error)));
socket.on('close', () => process.exit(1));

// All streams of one pace step together, as the sequences of an inference engine's batch do.
setInterval(() => {
  tick += 1;
  for (const [id, stream] of live) {
    if (tick % stream.everyTicks !== 0) continue;
    if (stream.sent < stream.tokens) sendToken(id, stream);
    else endStream(id, stream);
  }
}, TICK_MS);
setInterval(heartbeat, HEARTBEAT_MS);
setInterval(() => socket.ping(), PING_MS);

/** Hands out what is written of streams that have ended. */
function endedPages() {
  const ended = diary.filter((page) => page.finished || page.goneNs !== null);
  diary = diary.filter((page) => !ended.includes(page));
  return ended;
}

const control = http.createServer((_, res) => {
  res.end(JSON.stringify({ eventsWritten, live: live.size, pages: endedPages() }));
});
