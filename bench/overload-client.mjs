// Many tenants at once, each at a rate of its own at random intervals, whatever becomes of the answers: an open load, as the
// world's is. Each request takes a connection that is idle, or a new one. A latency counts from the moment the request was due,
// and beside that from the moment it was handed to the socket: where this process is late itself, the two part. How late it
// was is told as the delay of its event loop.
import fs from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { connect, nowMs, postRequest, quantile, report, wholeAnswer } from './http-socket.mjs';

const job = JSON.parse(process.argv[2]);
const body = fs.readFileSync(job.bodyFile, 'utf8');
const DEADLINE_MS = 30_000;
const begun = nowMs() + 200;
const end = begun + job.forMs;
const delay = monitorEventLoopDelay({ resolution: 1 });
setTimeout(() => delay.enable(), 200);
const idle = [];
let open = 0;
let sending = job.tenants.length;

const tenants = job.tenants.map(({ name, key, perSecond }) => ({
  name,
  perSecond,
  request: postRequest({ port: job.port, headers: { authorization: `Bearer ${key}` }, body }),
  statuses: {},
  inTime: 0,
  answeredMs: [],
  refusedMs: [],
  refusedSentMs: [],
}));
for (const tenant of tenants) next(tenant, begun);

function next(tenant, dueMs) {
  const atMs = dueMs + (-Math.log(1 - Math.random()) * 1000) / tenant.perSecond;
  if (atMs >= end) {
    sending -= 1;
    finish();
    return;
  }
  setTimeout(
    () => {
      ask(tenant, atMs);
      next(tenant, atMs);
    },
    Math.max(0, atMs - nowMs()),
  );
}

function ask(tenant, dueMs) {
  open += 1;
  const line = idle.pop() ?? newLine();
  line.follow = wholeAnswer();
  line.settle = (status) => {
    clearTimeout(giveUp);
    line.settle = undefined;
    open -= 1;
    tenant.statuses[status] = (tenant.statuses[status] ?? 0) + 1;
    if (status === 200 && nowMs() <= end) tenant.inTime += 1;
    if (status === 200) tenant.answeredMs.push(nowMs() - dueMs);
    else {
      tenant.refusedMs.push(nowMs() - dueMs);
      tenant.refusedSentMs.push(nowMs() - sentMs);
    }
    if (status !== 'lost') idle.push(line);
    finish();
  };
  const giveUp = setTimeout(() => line.socket.destroy(), DEADLINE_MS);
  const sentMs = nowMs();
  line.socket.write(tenant.request);
}

function newLine() {
  const line = { socket: connect(job.port), follow: undefined, settle: undefined };
  line.socket.on('data', (bytes) => {
    const answer = line.settle && line.follow(bytes);
    if (answer) line.settle(answer.status);
  });
  line.socket.on('error', () => {});
  line.socket.on('close', () => {
    const at = idle.indexOf(line);
    if (at >= 0) idle.splice(at, 1);
    line.settle?.('lost');
  });
  return line;
}

function finish() {
  if (sending > 0 || open > 0) return;
  report({
    // Nanoseconds; a loop that is never late says about a millisecond, which is how often it is looked at.
    loopDelay50Ms: delay.percentile(50) / 1e6,
    loopDelay99Ms: delay.percentile(99) / 1e6,
    loopDelayMostMs: delay.max / 1e6,
    tenants: tenants.map(({ name, perSecond, statuses, inTime, answeredMs, refusedMs, refusedSentMs }) => ({
      name,
      perSecond,
      statuses,
      inTime,
      answered: answeredMs.length,
      refusedMs,
      refusedSentMs,
      answered99Ms: quantile(answeredMs, 0.99),
    })),
  });
}
