// The loads, each asked of one target at a time. A scenario answers figures; `units` of them are what CPU time is divided by.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuBusySeconds, cpuSeconds, forgetPeak, peakMb, residentMb } from './machine.mjs';
import { DIMENSIONS, INPUTS, TOKENS } from './payloads.mjs';
import { atRest, measureWith, sleep } from './processes.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const HANG_UPS = 64;
const HANG_UP_AFTER = 10;
const HANG_UP_TOKENS = 400;

/** What must be known of the bodies by who makes them. */
export const PACED_MS = 5;
export const HANG_UP_BODY = { paceMs: PACED_MS, tokens: HANG_UP_TOKENS, tagged: true };
export const LONG_PROMPT_BYTES = 400_000;
/**
 * More text than 1,024,000 bytes the market refuses (128,000 tokens, of which none has more than eight bytes). This much is
 * served by our own agent and by generation C of Swan's; an older one takes no message above 1 MiB, and gets none above 1 MB.
 */
export const HUGE_PROMPT_BYTES = 1_000_000;
const CHATS = '/v1/chat/completions';
const VECTORS = '/v1/embeddings';

async function wrk(target, setting, { connections, body, seconds, at = CHATS, headers = target.headers }) {
  const url = `http://127.0.0.1:${target.port}${at}`;
  const argv = [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '30s',
    '-s',
    path.join(here, 'post.lua'),
  ];
  const fields = Object.entries(headers).map(([name, value]) => `${name}=${value}`);
  const figures = await measureWith(setting.cpus.load, [...argv, url, '--', setting.bodies[body], ...fields]);
  if (figures.failed !== undefined) return figures;
  return { ...figures, perSecond: (figures.requests / figures.durationUs) * 1e6 };
}

async function plain(target, setting, load) {
  const figures = await wrk(target, setting, load);
  return figures.failed === undefined ? { ...figures, units: figures.requests } : figures;
}

/** Streams that were cut off by the end of the measurement have cost as well: tokens are counted by the bytes that came. */
async function streamed(target, setting, load) {
  const figures = await wrk(target, setting, load);
  if (figures.failed !== undefined) return figures;
  const tokens = Math.round((figures.bytes / target.streamBytes[load.body]) * TOKENS);
  return { ...figures, units: tokens, tokensPerSecond: (tokens / figures.durationUs) * 1e6 };
}

const client = (file, setting, job) =>
  measureWith(setting.cpus.load, ['node', path.join(here, file), JSON.stringify(job)]);

async function manyReads(target, setting, job) {
  const figures = await client('stream-client.mjs', setting, {
    port: target.port,
    headers: target.headers,
    ...job,
  });
  return { ...figures, units: figures.events };
}

/** The diary's pages on streams that have ended, once none is live any more or the time is up. */
async function endedPages(url, limitMs) {
  const pages = [];
  for (const end = Date.now() + limitMs; ; await sleep(100)) {
    const diary = await (await fetch(url)).json();
    pages.push(...diary.pages);
    if (diary.live === 0 || Date.now() >= end) return pages;
  }
}

async function hangUps(target, setting) {
  if (!target.diaryUrl) return { skipped: 'nobody writes down what this backend generates' };
  await endedPages(target.diaryUrl, 0); // forgets what was before
  const { hungUp, failed } = await client('stream-client.mjs', setting, {
    mode: 'hang-up',
    port: target.port,
    headers: target.headers,
    streams: HANG_UPS,
    after: HANG_UP_AFTER,
    bodyFile: setting.bodies.hangUp,
  });
  if (failed !== undefined) return { failed };
  // Who does not learn of it writes on to the end; nobody writes longer than that.
  const pages = await endedPages(target.diaryUrl, HANG_UP_TOKENS * PACED_MS * 1.5);
  const after = [];
  const delaysMs = [];
  for (const page of pages) {
    const hangUp = hungUp[page.tag];
    if (!hangUp) continue;
    const atNs = BigInt(hangUp.atNs);
    after.push(page.writtenNs.filter((writtenNs) => BigInt(writtenNs) > atNs).length);
    if (page.goneNs) delaysMs.push(Number(BigInt(page.goneNs) - atNs) / 1e6);
  }
  const sorted = (values) => values.toSorted((a, b) => a - b);
  const at = (values, p) =>
    sorted(values)[Math.min(values.length - 1, Math.floor(p * values.length))] ?? null;
  return {
    hungUp: Object.keys(hungUp).length,
    seen: after.length,
    ranToTheEnd: pages.filter((page) => page.finished).length,
    after50: at(after, 0.5),
    after99: at(after, 0.99),
    afterMean: after.length > 0 ? after.reduce((sum, each) => sum + each, 0) / after.length : null,
    learns50Ms: at(delaysMs, 0.5),
    learns99Ms: at(delaysMs, 0.99),
    units: null,
  };
}

/** The database stands still while requests go on; afterwards every answer must have been charged once. */
async function stall(target, setting) {
  if (!target.stall?.possible) return { skipped: 'its database is not a process of ours' };
  const before = await settledCharges(target);
  const job = {
    port: target.port,
    headers: target.headers,
    connections: 32,
    perSecond: setting.steadyPerSecond,
    bodyFile: setting.bodies.plain,
    segmentsMs: setting.stallSegmentsMs,
  };
  const onLine = (line) => {
    if (line === 'segment 1') target.stall.pause();
    if (line === 'segment 2') target.stall.resume();
  };
  const argv = ['node', path.join(here, 'steady-client.mjs'), JSON.stringify(job)];
  let figures;
  try {
    figures = await measureWith(setting.cpus.load, argv, { onLine });
  } finally {
    target.stall.resume();
  }
  if (figures.failed !== undefined) return figures;
  const charged = (await settledCharges(target)) - before;
  const answered = figures.segments.reduce((sum, segment) => sum + segment.answered, 0);
  return { ...figures, answered, charged, audit: await target.audit(), units: null };
}

/** The number of charges, once the ledger has all that was served (or is not going to, within a minute). */
async function settledCharges(target) {
  for (let tries = 0; tries < 120 && (await target.unpostedBytes()) > 0; tries += 1) await sleep(500);
  return await target.charges();
}

/** Mixed load for long, memory looked at as it goes: a leak shows as a later third above the first. */
async function soak(target, setting) {
  const samples = [];
  const timer = setInterval(
    () => samples.push(target.pids.reduce((sum, pid) => sum + residentMb(pid), 0)),
    2000,
  );
  let units = 0;
  try {
    for (const end = Date.now() + setting.soakMinutes * 60_000; Date.now() < end; ) {
      const requests = await plain(target, setting, { connections: 32, body: 'plain', seconds: 5 });
      const streams = await plain(target, setting, { connections: 128, body: 'paced', seconds: 5 });
      if (requests.failed ?? streams.failed) return { failed: requests.failed ?? streams.failed };
      units += requests.units + streams.units;
    }
  } finally {
    clearInterval(timer);
  }
  const third = Math.max(1, Math.floor(samples.length / 3));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [second, last] = [samples.slice(third, 2 * third), samples.slice(-third)];
  return {
    units,
    rssFirstMb: mean(samples.slice(0, third)),
    rssSecondMb: mean(second),
    rssLastMb: mean(last),
  };
}

/** By target: why it has no vectors. */
const NO_VECTORS = { 'cygnet-rehearsal': 'its backend makes short vectors, by hashing' };

/**
 * By name: what it needs, of whom it is asked (of all, unless said), who cannot do it and why, whether once or in each round,
 * whether only when asked for by name, and the load.
 */
export const SCENARIOS = {
  n1: {
    title: '1 connection, unstreamed, 1 kB prompt and reply',
    needs: 'wrk',
    run: (target, setting) =>
      plain(target, setting, { connections: 1, body: 'plain', seconds: setting.seconds }),
  },
  n64: {
    title: '64 connections, unstreamed, 1 kB prompt and reply',
    needs: 'wrk',
    run: (target, setting) =>
      plain(target, setting, { connections: 64, body: 'plain', seconds: setting.seconds }),
  },
  big: {
    title: '16 connections, unstreamed, 64 kB prompt',
    needs: 'wrk',
    run: (target, setting) =>
      plain(target, setting, { connections: 16, body: 'big', seconds: setting.seconds }),
  },
  burst: {
    title: `64 connections, streams of ${TOKENS} tokens at once`,
    needs: 'wrk',
    run: (target, setting) =>
      streamed(target, setting, { connections: 64, body: 'burst', seconds: setting.seconds }),
  },
  sat: {
    title: `512 streams, a token each ${PACED_MS} ms`,
    needs: 'wrk',
    run: (target, setting) =>
      streamed(target, setting, { connections: 512, body: 'paced', seconds: setting.seconds + 1 }),
  },
  ttft: {
    title: `32 streams, a token each ${PACED_MS} ms`,
    run: (target, setting) =>
      manyReads(target, setting, {
        mode: 'ttft',
        streams: 32,
        ms: setting.seconds * 1000,
        bodyFile: setting.bodies.paced,
      }),
  },
  cancel: {
    title: `${HANG_UPS} clients hang up after ${HANG_UP_AFTER} of ${HANG_UP_TOKENS} tokens`,
    run: hangUps,
  },
  prompts: {
    title: '512 streams while five 400 kB prompts a second arrive',
    run: (target, setting) =>
      manyReads(target, setting, {
        mode: 'prompts',
        streams: 512,
        ms: (setting.seconds + 2) * 1000,
        bodyFile: setting.bodies.steady,
        promptFile: setting.bodies.longPrompt,
        promptsPerSecond: 5,
      }),
  },
  badkey: {
    title: '64 connections with a revoked key',
    needs: 'wrk',
    only: ['empty', 'cygnet'],
    run: (target, setting) =>
      plain(target, setting, {
        connections: 64,
        body: 'plain',
        seconds: setting.seconds,
        headers: target.refusedHeaders,
      }),
  },
  stall: { title: 'the database stands still under steady load', only: ['cygnet'], once: true, run: stall },
  embed: {
    title: `16 connections, embeddings of ${INPUTS} texts, ${DIMENSIONS} numbers each, as base64`,
    needs: 'wrk',
    cannot: NO_VECTORS,
    run: (target, setting) =>
      plain(target, setting, { connections: 16, at: VECTORS, body: 'embed', seconds: setting.seconds }),
  },
  floats: {
    title: 'the same embeddings as lists of numbers',
    needs: 'wrk',
    cannot: NO_VECTORS,
    run: (target, setting) =>
      plain(target, setting, { connections: 16, at: VECTORS, body: 'floats', seconds: setting.seconds }),
  },
  huge: {
    title: '4 connections, unstreamed, 1 MB prompt',
    needs: 'wrk',
    run: (target, setting) =>
      plain(target, setting, { connections: 4, body: 'huge', seconds: setting.seconds }),
  },
  gaps: {
    title: '512 streams while two 1 MB prompts a second arrive',
    byName: true,
    run: (target, setting) =>
      manyReads(target, setting, {
        mode: 'prompts',
        streams: 512,
        ms: (setting.seconds + 2) * 1000,
        bodyFile: setting.bodies.steady,
        promptFile: setting.bodies.huge,
        promptsPerSecond: 2,
      }),
  },
  soak: {
    title: 'mixed load for minutes: memory',
    needs: 'wrk',
    only: ['floor', 'cygnet', 'cygnet-swan'],
    once: true,
    byName: true,
    run: soak,
  },
};

/** What takes long, or tells little more than another, is asked for by name. */
export const DEFAULT_SCENARIOS = Object.keys(SCENARIOS).filter((name) => !SCENARIOS[name].byName);

/** Waits, up to a limit, until others leave three quarters of both CPUs to us. */
async function quietMoment({ cpus, quietSeconds }) {
  for (const end = Date.now() + quietSeconds * 1000; Date.now() < end; ) {
    const before = [cpus.target, cpus.load].map(cpuBusySeconds);
    await sleep(400);
    const busy = [cpus.target, cpus.load].map((cpu, i) => (cpuBusySeconds(cpu) - before[i]) / 0.4);
    if (Math.max(...busy) < 0.25) return;
  }
}

/** Runs one scenario on one target and takes the CPU time and memory of its processes meanwhile. */
export async function measure(scenario, target, setting) {
  const why = SCENARIOS[scenario].cannot?.[target.name];
  if (why) return { skipped: why };
  const rested = await atRest();
  await quietMoment(setting);
  const cpuOf = (pids) => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const others = Object.entries(target.others);
  target.pids.forEach(forgetPeak);
  const before = { own: cpuOf(target.pids), others: others.map(([, pids]) => cpuOf(pids())) };
  const busyBefore = cpuBusySeconds(setting.cpus.target);
  const begun = process.hrtime.bigint();
  const figures = await SCENARIOS[scenario].run(target, setting);
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  const cpu = cpuOf(target.pids) - before.own;
  return {
    seconds,
    cpu,
    othersCpu: Object.fromEntries(others.map(([role, pids], i) => [role, cpuOf(pids()) - before.others[i]])),
    /** The share of the target's CPU that somebody else used. */
    foreign: Math.max(0, (cpuBusySeconds(setting.cpus.target) - busyBefore - cpu) / seconds),
    rssMb: target.pids.reduce((sum, pid) => sum + peakMb(pid), 0),
    rested,
    ...figures,
  };
}
