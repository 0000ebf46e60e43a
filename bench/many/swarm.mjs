// Many idle agents in one process, each from an address of its own: they register, beat, and dial again when they are lost,
// as Swan's agents do: at once, then with growing pauses, and not before a refusal says so.
//
// usage: node swarm.mjs <hub url> <model> <count>, the providers' keys in INFERENCE_API_KEY. Prints `@@{"registered":n}` each quarter second
// in which the number changed.
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';

const [hubUrl, model, count] = process.argv.slice(2);
/** A provider may have 10,000 nodes: the agents are of several. */
const tokens = process.env.INFERENCE_API_KEY.split(',');
const FIRST_PER_S = 500;
const HEARTBEAT_MS = 30_000;
let registered = 0;
let refused = 0;
let said = '';

function node(i) {
  const id = `04${String(i).padStart(128, 'a')}`;
  const localAddress = `127.${10 + (i >> 16)}.${(i >> 8) & 255}.${i & 255 || 1}`;
  let tries = 0;
  const dial = () => {
    let waitMs = Math.random() * Math.min(3_000, 100 * 2 ** tries);
    tries += 1;
    const ws = new WebSocket(`${hubUrl}/ws`, { perMessageDeflate: false, localAddress });
    let beat;
    let there = false;
    const send = (type, payload) => ws.send(JSON.stringify({ type, request_id: randomUUID(), payload }));
    ws.on('open', () =>
      send('register', {
        node_id: id,
        provider_id: id,
        node_name: 'swarm',
        worker_addr: id,
        owner_addr: '',
        token: tokens[i % tokens.length],
        models: [model],
        model_hashes: [{ model_id: model }],
        capabilities: ['inference'],
        hardware: {
          gpu_type: 'H100',
          gpu_model: 'NVIDIA H100',
          vram_gb: 79,
          gpu_count: 1,
          serving_engine: 'vllm',
        },
        cp_version: '0.6.0',
        commit: 'bench',
      }),
    );
    ws.on('message', (data) => {
      if (there || JSON.parse(data).payload?.success !== true) return;
      there = true;
      tries = 0;
      registered += 1;
      // It serves nothing: the figures are of idle links.
      beat = setInterval(
        () => send('heartbeat', { node_id: id, provider_id: id, timestamp: 0, metrics: {}, models: [model] }),
        HEARTBEAT_MS * (0.9 + Math.random() / 5),
      );
    });
    ws.on('unexpected-response', (request, response) => {
      refused += 1;
      waitMs += 1_000 * Number(response.headers['retry-after'] ?? 0) * Math.random();
      request.destroy();
      response.resume();
      ws.emit('close');
    });
    ws.on('error', () => {});
    ws.once('close', () => {
      clearInterval(beat);
      if (there) registered -= 1;
      setTimeout(dial, waitMs);
    });
  };
  dial();
}

for (let i = 1; i <= Number(count); i++) setTimeout(() => node(i), (i / FIRST_PER_S) * 1_000);
setInterval(() => {
  const now = `@@${JSON.stringify({ registered, refused })}`;
  if (now !== said) console.log(now);
  said = now;
}, 250);
