// Reads many streams at once and says when their events came. Takes one JSON argument and prints one `@@{…}` line.
//
//   mode ttft      `streams` connections, each asking again when its answer has ended, for `ms`
//   mode prompts   the same, while `promptsPerSecond` requests with `promptFile` as body arrive beside them
//   mode hang-up   `streams` connections, each hanging up when it has read `after` events
import fs from 'node:fs';
import {
  chunkedBody,
  connect,
  eventsIn,
  isOk,
  nowMs,
  postRequest,
  quantile,
  report,
  wholeAnswer,
} from './http-socket.mjs';

const job = JSON.parse(process.argv[2]);
const { mode, port, headers, streams } = job;
const body = fs.readFileSync(job.bodyFile, 'utf8');
const begun = nowMs();

if (mode === 'hang-up') hangUps();
else readStreams();

function readStreams() {
  // The first moments, in which the streams begin one after the other, are not part of what is measured.
  const spreadMs = mode === 'prompts' ? 1000 : 220;
  const from = begun + spreadMs + (mode === 'prompts' ? 500 : 0);
  const until = begun + spreadMs + job.ms;
  const request = postRequest({ port, headers, body });
  const figures = { streams: 0, events: 0, bad: 0 };
  const ttft = [];
  const gaps = [];
  const latencies = [];
  const sockets = new Set();

  for (let i = 0; i < streams; i += 1) setTimeout(one, (spreadMs * i) / streams);
  const prompts =
    mode === 'prompts'
      ? sendPrompts(from, until, () => {
          for (const socket of sockets) socket.destroy(); // these streams are long; their ends are of no interest
        })
      : null;

  function one() {
    const socket = connect(port);
    sockets.add(socket);
    let askedMs = 0;
    let lastMs = 0;
    let events = 0;
    let accepted = false;
    let ended = chunkedBody();
    const ask = () => {
      askedMs = nowMs();
      events = 0;
      accepted = false;
      ended = chunkedBody();
      socket.write(request);
    };
    socket.on('connect', ask);
    socket.on('data', (bytes) => {
      const now = nowMs();
      accepted ||= isOk(bytes);
      if (!accepted) {
        figures.bad += 1;
        socket.destroy();
        return;
      }
      const count = eventsIn(bytes);
      if (count > 0) {
        // Events that arrive in one read have no gap between them, and none is counted: a gateway that holds events
        // back to send them together does not look smoother for it.
        if (now >= from && now <= until) {
          if (events === 0) ttft.push(now - askedMs);
          else gaps.push(now - lastMs);
        }
        lastMs = now;
        events += count;
        figures.events += count;
      }
      if (!ended(bytes)) return;
      figures.streams += 1;
      if (now >= from) latencies.push(now - askedMs);
      if (now < until) ask();
      else socket.end();
    });
    socket.on('error', () => {
      figures.bad += 1;
    });
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) finish();
    });
  }

  function finish() {
    report({
      ...figures,
      ttft50Ms: quantile(ttft, 0.5),
      ttft95Ms: quantile(ttft, 0.95),
      ttft99Ms: quantile(ttft, 0.99),
      gap50Ms: quantile(gaps, 0.5),
      gap99Ms: quantile(gaps, 0.99),
      gapMaxMs: quantile(gaps, 1),
      whole50Ms: quantile(latencies, 0.5),
      ...prompts,
    });
  }
}

/**
 * Sends the long prompts at an even pace, each on its own connection; answers the counts, which grow meanwhile. `done` is
 * called when the time is up and every prompt has been answered, or two seconds later.
 */
function sendPrompts(from, until, done) {
  const request = postRequest({ port, headers, body: fs.readFileSync(job.promptFile, 'utf8') });
  const counts = { prompts: 0, promptsAnswered: 0, promptsBad: 0 };
  const timer = setInterval(() => {
    const now = nowMs();
    if (now < from) return;
    if (now > until) {
      if (counts.promptsAnswered + counts.promptsBad < counts.prompts && now < until + 2000) return;
      clearInterval(timer);
      done();
      return;
    }
    counts.prompts += 1;
    const socket = connect(port);
    const follow = wholeAnswer();
    socket.on('connect', () => socket.write(request));
    socket.on('data', (bytes) => {
      const answer = follow(bytes);
      if (!answer) return;
      if (answer.status === 200) counts.promptsAnswered += 1;
      else counts.promptsBad += 1;
      socket.destroy();
    });
    socket.on('error', () => {
      counts.promptsBad += 1;
    });
  }, 1000 / job.promptsPerSecond);
  return counts;
}

function hangUps() {
  const hungUp = {};
  let left = streams;
  for (let i = 0; i < streams; i += 1) setTimeout(one, i * 15, i);

  function one(i) {
    const tag = String(i).padStart(4, '0');
    const socket = connect(port);
    let events = 0;
    socket.on('connect', () =>
      socket.write(postRequest({ port, headers, body: body.replace('tag=@@@@', `tag=${tag}`) })),
    );
    socket.on('data', (bytes) => {
      events += eventsIn(bytes);
      if (events < job.after || socket.destroyed) return;
      hungUp[tag] = { atNs: String(process.hrtime.bigint()), events };
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      left -= 1;
      if (left === 0) report({ hungUp });
    });
  }
}
