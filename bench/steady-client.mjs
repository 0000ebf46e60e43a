// Sends plain requests at an even pace, whatever becomes of them, and counts every answer: what money must be matched with.
// Each of `connections` asks every `connections / perSecond` seconds. Latency counts from the moment a request was due, so a
// stall is not hidden by the requests it kept from being sent. `segmentsMs` cuts the time into parts that are reported apart;
// the begin of each is printed as `segment N`. All requests are seen to their end.
import fs from 'node:fs';
import { connect, nowMs, postRequest, quantile, report, wholeAnswer } from './http-socket.mjs';

const job = JSON.parse(process.argv[2]);
const request = postRequest({ ...job, body: fs.readFileSync(job.bodyFile, 'utf8') });
const everyMs = (1000 * job.connections) / job.perSecond;
const DEADLINE_MS = 30_000;

const begun = nowMs() + 200;
let end = begun;
const segments = job.segmentsMs.map((lengthMs, i) => {
  end += lengthMs;
  setTimeout(() => console.log(`segment ${i}`), end - lengthMs - nowMs());
  return { untilMs: end, latencies: [], statuses: {}, lost: 0 };
});
const segmentAt = (dueMs) => segments.find((segment) => dueMs < segment.untilMs);

let open = job.connections;
for (let i = 0; i < job.connections; i += 1) one(begun + (everyMs * i) / job.connections);

function one(firstDueMs) {
  let socket = null;
  let dueMs = firstDueMs;
  let giveUp = null;
  let underWay = false;
  let follow = wholeAnswer();

  const settle = (status) => {
    clearTimeout(giveUp);
    underWay = false;
    const segment = segmentAt(dueMs);
    if (status === null) segment.lost += 1;
    else segment.statuses[status] = (segment.statuses[status] ?? 0) + 1;
    if (status === 200) segment.latencies.push(nowMs() - dueMs);
    dueMs += everyMs;
    wait();
  };
  const hangUp = () => {
    socket?.removeAllListeners();
    socket?.on('error', () => {});
    socket?.destroy();
    socket = null;
  };
  const lose = () => {
    hangUp();
    settle(null);
  };
  const ask = () => {
    giveUp = setTimeout(lose, DEADLINE_MS);
    underWay = true;
    follow = wholeAnswer();
    if (socket) {
      socket.write(request);
      return;
    }
    socket = connect(job.port);
    socket.on('connect', () => socket.write(request));
    socket.on('data', (bytes) => {
      const answer = follow(bytes);
      if (answer) settle(answer.status);
    });
    socket.on('error', lose);
    // A connection closed between two requests is opened again for the next; one closed in a request has lost it.
    socket.on('close', () => (underWay ? lose() : hangUp()));
  };
  const wait = () => {
    if (segmentAt(dueMs)) {
      setTimeout(ask, Math.max(0, dueMs - nowMs()));
      return;
    }
    hangUp();
    open -= 1;
    if (open === 0) finish();
  };
  wait();
}

function finish() {
  report({
    segments: segments.map(({ latencies, statuses, lost }) => ({
      answered: latencies.length,
      statuses,
      lost,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      maxMs: quantile(latencies, 1),
    })),
  });
}
