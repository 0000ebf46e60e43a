// Clients that each send one short text after the other for embeddings, on one connection each: a closed load.
import { connect, nowMs, postRequest, quantile, report, wholeAnswer } from './http-socket.mjs';

const { port, key, model, clients, forMs } = JSON.parse(process.argv[2]);
const end = nowMs() + forMs;
const tookMs = [];
let refused = 0;
let working = clients;

for (let n = 0; n < clients; n++) work(n);

function work(n) {
  const body = JSON.stringify({ model, input: `A short text of client ${n}.`, encoding_format: 'base64' });
  const headers = { authorization: `Bearer ${key}` };
  const request = postRequest({ port, path: '/v1/embeddings', headers, body });
  const socket = connect(port);
  const whole = wholeAnswer();
  let sentMs = nowMs();
  socket.on('data', (bytes) => {
    const answer = whole(bytes);
    if (!answer) return;
    if (answer.status === 200) tookMs.push(nowMs() - sentMs);
    else refused += 1;
    if (nowMs() < end) return send();
    socket.end();
    working -= 1;
    if (working === 0)
      report({
        answered: tookMs.length,
        refused,
        p50Ms: quantile(tookMs, 0.5),
        p99Ms: quantile(tookMs, 0.99),
      });
  });
  send();

  function send() {
    sentMs = nowMs();
    socket.write(request);
  }
}
