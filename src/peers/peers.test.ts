import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { CHAT_ONLY } from '#domain/operation.ts';
import type { Hub } from '#hub/hub.ts';
import { type AttemptEnd, type Job, ONE_ANSWER } from '#hub/link.ts';
import { Presence } from '#hub/registry.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { CutLine } from '#support/cut-line.ts';
import { FakeLink } from '#support/fake-link.ts';
import { MODEL, testHub } from '#support/test-hub.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { aboutLink, Peers, type PeersParts } from './peers.ts';

// Two hubs in one process with real sockets between them; agents are links whose every move the test makes.

interface Side {
  readonly hub: Hub;
  readonly peers: Peers;
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function side(
  instance: string,
  among: Map<string, string>,
  secret = 'one',
  more: Partial<PeersParts> = {},
): Promise<Side> {
  const { hub } = testHub(systemClock);
  const peers = await Peers.open({
    hub,
    instance,
    secret: new Sealed(secret),
    host: '127.0.0.1',
    port: 0,
    url: undefined,
    members: () => among,
    clock: systemClock,
    ids: idMaker(systemClock, systemRandomness),
    log: silentLog,
    ...more,
  });
  among.set(instance, aboutLink(peers.url));
  closers.push(async () => {
    await peers.close();
    await hub.close();
  });
  return { hub, peers };
}

async function pair(): Promise<{ a: Side; b: Side }> {
  const among = new Map<string, string>();
  const [a, b] = [await side('a', among), await side('b', among)];
  await expect.poll(() => [a.peers.linked, b.peers.linked]).toEqual([['b'], ['a']]);
  return { a, b };
}

let links = 0;
/** An agent that is connected to this hub. */
function agentAt({ hub }: Side, about: { node?: string; several?: boolean; agoMs?: number } = {}) {
  const link = new FakeLink(`link_${++links}`);
  const evicted: string[] = [];
  const presence = new Presence({
    linkId: link.id,
    nodeId: about.node ?? `node_${links}`,
    providerId: 'prov_one',
    mode: 'websocket',
    keyId: null,
    several: about.several ?? false,
    connectedAtMs: systemClock.nowMs() - (about.agoMs ?? 0),
    evict: (why) => {
      evicted.push(why);
      hub.registry.leave(presence);
    },
    warmUp: () => Promise.resolve('unanswered'),
    providerChanged: () => undefined,
  });
  hub.registry.enter(presence, link);
  const model = { modelId: MODEL, name: MODEL, capacity: 2, operations: CHAT_ONLY };
  hub.registry.serve(presence, [{ ...model, quantization: null, parameters: null, version: null }], {
    vramGb: 24,
    linkCapacity: 8,
    requestBytesMax: 1_000_000,
  });
  hub.registry.health(presence, { [MODEL]: 'healthy' });
  return { link, presence, evicted };
}

/** The one candidate that a hub has, once it has one. */
async function candidateAt({ hub }: Side) {
  await expect.poll(() => hub.candidates(MODEL).length).toBe(1);
  return hub.candidates(MODEL)[0] as NonNullable<ReturnType<Hub['candidates']>[0]>;
}

const job = (more: Partial<Job> = {}): Job => ({
  attemptId: 'att_1',
  modelId: MODEL,
  completionId: 'chatcmpl-1',
  createdS: 1,
  operation: 'chat/completions',
  expects: ONE_ANSWER,
  stream: true,
  body: Buffer.from('{}'),
  set: {},
  deadlineMs: 60_000,
  ...more,
});

function sink() {
  const heard = { bytes: 0, text: '', tokens: 0, results: [] as string[], ends: [] as AttemptEnd[] };
  return {
    heard,
    data: (events: Buffer, _events: number, tokens: number) => {
      heard.bytes += events.length;
      if (events.length < 100) heard.text += events.toString();
      heard.tokens += tokens;
    },
    result: (body: Buffer) => {
      heard.results.push(body.toString());
    },
    end: (end: AttemptEnd) => {
      heard.ends.push(end);
    },
  };
}

async function startAt(from: Side, agent: { link: FakeLink }, more: Partial<Job> = {}) {
  const candidate = await candidateAt(from);
  const to = sink();
  const before = agent.link.jobs.length;
  const attempt = from.hub.linkOf(candidate)?.start(job(more), to);
  await expect.poll(() => agent.link.jobs.length).toBe(before + 1);
  return { candidate, attempt: attempt as NonNullable<typeof attempt>, heard: to.heard };
}

const USAGE = { inputTokens: 5, outputTokens: 2 };

describe.each([
  ['from the one that dialled', false],
  ['from the one that was dialled', true],
])('a job %s', (_name, turned) => {
  const sides = async (): Promise<{ near: Side; away: Side }> => {
    const { a, b } = await pair();
    return turned ? { near: b, away: a } : { near: a, away: b };
  };

  test('arrives whole, and what comes of it comes back in order, with the exact end', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const body = Buffer.alloc(300_000, 'x');
    const { candidate, heard } = await startAt(near, agent, {
      body,
      set: { max_tokens: 7 },
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    });
    expect(candidate.inFlight).toBe(1);
    const { job: arrived } = agent.link.last;
    expect(arrived).toMatchObject({
      attemptId: 'att_1',
      set: { max_tokens: 7 },
      stream: true,
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    });
    expect(arrived.body.equals(body)).toBe(true);
    agent.link.says('data: one\n\n');
    agent.link.says('data: two\n\n');
    agent.link.ends({ outcome: 'completed', usage: USAGE });
    await expect.poll(() => heard.ends).toHaveLength(1);
    expect(heard).toMatchObject({ text: 'data: one\n\ndata: two\n\n', tokens: 2 });
    expect(heard.ends[0]).toMatchObject({ outcome: 'completed', usage: USAGE });
    expect(candidate.inFlight).toBe(0);
    expect(away.peers.serving).toBe(0);
  });

  test('that is not streamed brings its answer, however long', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const { heard } = await startAt(near, agent, { stream: false });
    const answer = { choices: [{ message: { content: 'y'.repeat(100_000) } }] };
    agent.link.last.sink.result(Buffer.from(JSON.stringify(answer)), answer);
    agent.link.ends({ outcome: 'completed', usage: USAGE });
    await expect.poll(() => heard.ends).toHaveLength(1);
    expect(heard.results).toEqual([JSON.stringify(answer)]);
  });

  test('that nobody reads makes its agent wait, and goes on where it stopped', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const { attempt, heard } = await startAt(near, agent);
    const { creditBytes } = near.hub.settings;
    const event = 'z'.repeat(10_000);
    for (let i = 0; i < 100; i++) agent.link.says(event);
    agent.link.ends({ outcome: 'completed', usage: USAGE });
    await expect.poll(() => heard.bytes).toBeGreaterThan(creditBytes / 2);
    // A second job goes there and back on the same link; by then the first has brought all that it may.
    const other = await startAt(near, agent);
    agent.link.ends({ outcome: 'completed', usage: USAGE });
    await expect.poll(() => other.heard.ends).toHaveLength(1);
    expect(heard.bytes).toBeLessThanOrEqual(creditBytes);
    expect(agent.link.jobs.at(-2)?.consumed).toBeLessThanOrEqual(creditBytes);
    expect(heard.ends).toEqual([]);
    for (let taken = 0; taken < 1_000_000; ) {
      await expect.poll(() => heard.bytes > taken || heard.ends.length > 0).toBe(true);
      attempt.consumed(heard.bytes - taken);
      taken = heard.bytes;
    }
    await expect.poll(() => heard.ends).toHaveLength(1);
    expect(heard).toMatchObject({ bytes: 1_000_000, tokens: 100 });
  });

  test('takes an event that is larger than all credit', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const { attempt, heard } = await startAt(near, agent);
    for (const size of [60_000, 900_000, 10_000]) agent.link.says('w'.repeat(size));
    agent.link.ends({ outcome: 'completed', usage: USAGE });
    await expect.poll(() => heard.bytes).toBe(960_000);
    attempt.consumed(960_000);
    await expect.poll(() => heard.ends).toHaveLength(1);
    expect(heard.bytes).toBe(970_000);
  });

  test('that is cancelled is stopped at its agent, and ends with the exact count', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const { attempt, heard } = await startAt(near, agent);
    agent.link.says('data: one\n\n');
    await expect.poll(() => heard.bytes).toBeGreaterThan(0);
    attempt.cancel('consumer_disconnected');
    await expect.poll(() => agent.link.last.cancelled).toBe('consumer_disconnected');
    agent.link.says('data: late\n\n');
    agent.link.ends({ outcome: 'cancelled', usage: USAGE });
    await expect.poll(() => heard.ends).toHaveLength(1);
    expect(heard.ends[0]).toMatchObject({ outcome: 'cancelled', usage: USAGE });
    expect(heard.text).toBe('data: one\n\n');
  });

  test('is lost with the link, which is nobody’s failure who serves, and its agent is stopped', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const { candidate, heard } = await startAt(near, agent);
    agent.link.says('data: one\n\n');
    await near.peers.close();
    await expect.poll(() => heard.ends).toHaveLength(1);
    expect(heard.ends[0]).toMatchObject({ outcome: 'lost', between: true });
    await expect.poll(() => agent.link.last.cancelled).toBe('consumer_disconnected');
    expect(near.hub.candidates(MODEL)).toEqual([]);
    expect(candidate.breaker.consecutiveFailures).toBe(0);
  });

  test('comes back as busy when the agent has no room, or has left', async () => {
    const { near, away } = await sides();
    const agent = agentAt(away);
    const candidate = await candidateAt(near);
    const link = near.hub.linkOf(candidate);
    for (let i = 0; i < 2; i++) away.hub.registry.began(agent.presence, MODEL);
    const full = sink();
    link?.start(job(), full);
    await expect.poll(() => full.heard.ends).toHaveLength(1);
    expect(full.heard.ends[0]).toMatchObject({ outcome: 'busy' });
    agent.presence.evict('replaced');
    const late = sink();
    link?.start(job(), late);
    await expect.poll(() => late.heard.ends).toHaveLength(1);
    expect(late.heard.ends[0]).toMatchObject({ outcome: 'busy' });
  });
});

describe('gateways', () => {
  test('with another secret are strangers', async () => {
    const among = new Map<string, string>();
    const [a, b] = [await side('a', among), await side('b', among, 'two')];
    agentAt(b);
    const c = await side('c', among);
    await expect.poll(() => [a.peers.linked, c.peers.linked]).toEqual([['c'], ['a']]);
    expect(b.peers.linked).toEqual([]);
    expect(a.hub.candidates(MODEL)).toEqual([]);
  });

  test('tell each other of health, draining and load, and that somebody has left', async () => {
    const { a, b } = await pair();
    const { presence } = agentAt(b);
    const candidate = await candidateAt(a);
    expect(candidate).toMatchObject({ eligible: true, health: 'healthy', capacity: 2, vramGb: 24 });
    b.hub.registry.health(presence, { [MODEL]: 'degraded' });
    b.hub.registry.began(presence, MODEL);
    await expect.poll(() => [candidate.health, candidate.inFlight]).toEqual(['degraded', 1]);
    b.hub.registry.ended(presence, MODEL);
    b.hub.registry.drain(presence, true);
    await expect.poll(() => [candidate.draining, candidate.inFlight]).toEqual([true, 0]);
    b.hub.registry.leave(presence);
    await expect.poll(() => a.hub.candidates(MODEL)).toEqual([]);
  });

  test('serve a node of several links from where they are, and know it once', async () => {
    const { a, b } = await pair();
    const far = agentAt(b, { node: 'node_both', several: true, agoMs: 500 });
    await candidateAt(a);
    const near = agentAt(a, { node: 'node_both', several: true });
    await expect.poll(() => a.hub.candidates(MODEL).map(({ linkId }) => linkId)).toEqual([near.link.id]);
    expect(b.hub.candidates(MODEL).map(({ linkId }) => linkId)).toEqual([far.link.id]);
    a.hub.registry.leave(near.presence);
    await expect
      .poll(() => a.hub.candidates(MODEL).map(({ linkId }) => linkId))
      .toEqual([`b/${far.link.id}`]);
    expect(far.evicted).toEqual([]);
  });

  test('end the older connection of a node that holds one at a time', async () => {
    const { a, b } = await pair();
    const older = agentAt(a, { node: 'node_moved', agoMs: 60_000 });
    const younger = agentAt(b, { node: 'node_moved' });
    await expect.poll(() => older.evicted).toEqual(['replaced']);
    await expect
      .poll(() => a.hub.candidates(MODEL).map(({ linkId }) => linkId))
      .toEqual([`b/${younger.link.id}`]);
    expect(younger.evicted).toEqual([]);
  });

  test('send nothing more to one that leaves', async () => {
    const { a, b } = await pair();
    agentAt(b);
    const candidate = await candidateAt(a);
    b.peers.leave();
    await expect.poll(() => candidate.draining).toBe(true);
  });

  test('bug: one that is stopped while it dials another leaves no link behind, which would keep its process for ever', async () => {
    const among = new Map<string, string>();
    const b = await side('b', among);
    const { line, url } = await CutLine.to(b.peers.url);
    closers.push(() => line.close());
    // The other side takes the call and says nothing: a busy machine, or one that is just starting.
    line.hush();
    among.set('b', aboutLink(url.replace(/\/$/, '')));
    const a = await side('a', among);
    await expect.poll(() => line.sockets).toBe(1);

    await a.peers.close();
    line.mend();
    await expect.poll(() => line.sockets, { timeout: 10_000 }).toBe(0);
    expect(b.peers.linked).toEqual([]);
  });
});

// ------------------------------------------------------------------------------------------------------- liars

/** Listens, and passes every byte on to `to` and back. Counts who came, and what came of it. */
async function relay(to: () => string) {
  const seen = { came: 0, over: 0 };
  const server = createServer((near) => {
    seen.came += 1;
    const far = connect(Number(new URL(to()).port), '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far).pipe(near);
    far.once('close', () => {
      seen.over += 1;
      near.destroy();
    });
    near.once('close', () => far.destroy());
    closers.push(async () => {
      near.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return { seen, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** A socket to the private port that says this and no more. */
async function stranger({ peers }: Side, says = '') {
  const socket = connect(Number(new URL(peers.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  const closed = once(socket, 'close');
  closers.push(async () => {
    socket.destroy();
  });
  if (says !== '') socket.write(says);
  return { closed };
}

const UPGRADE = [
  'GET / HTTP/1.1',
  'host: x',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
  '\r\n',
].join('\r\n');

describe('a Redis that lies', () => {
  test('has no gateway prove itself through a third party that stands between the two', async () => {
    const among = new Map<string, string>();
    const b = await side('b', among);
    const between = await relay(() => b.peers.url);
    // What `a` reads in Redis is not what `b` wrote there.
    const a = await side('a', new Map([['b', aboutLink(between.url)]]));
    await expect.poll(() => between.seen.over, { timeout: 5_000 }).toBeGreaterThan(1);
    expect([a.peers.linked, b.peers.linked]).toEqual([[], []]);
    // The truth links them.
    const c = await side('aa', among);
    await expect.poll(() => [b.peers.linked, c.peers.linked]).toEqual([['aa'], ['b']]);
  });

  test('has no gateway that is reached over TLS dial another without', async () => {
    const target = await relay(() => 'ws://127.0.0.1:9');
    const warned: unknown[] = [];
    const log = { ...silentLog, warn: (about: unknown) => warned.push(about) } as unknown as Logger;
    const among = new Map([['b', aboutLink(target.url)]]);
    const a = await side('a', among, 'one', { url: 'wss://a.example:8082', log });
    await expect.poll(() => warned).toEqual([{ gateway: 'b', address: target.url }]);
    // Over TLS it is dialled, also where that fails.
    among.set('b', aboutLink(target.url.replace('ws:', 'wss:')));
    await expect.poll(() => target.seen.came).toBeGreaterThan(0);
    expect(a.peers.linked).toEqual([]);
  });
});

describe('the private port', () => {
  test('lets nobody stay who does not show who it is: silent, slow with its head, or silent after it', async () => {
    const clock = new VirtualClock();
    const b = await side('b', new Map(), 'one', { clock });
    const all = [
      await stranger(b),
      await stranger(b, 'GET / HTTP/1.1\r\nhost: x\r\n'),
      await stranger(b, UPGRADE),
    ];
    await expect.poll(() => b.peers.strangers).toBe(3);
    await clock.advance(5_001);
    await Promise.all(all.map(({ closed }) => closed));
    expect(b.peers.strangers).toBe(0);
  });

  test.each([
    ['one address', { perAddress: 3 }],
    ['all addresses together', { inAll: 3 }],
  ])('has room for few strangers of %s, and a gateway comes through all the same', async (_of, strangers) => {
    const among = new Map<string, string>();
    const b = await side('b', among, 'one', { strangers: { ...strangers, withinMs: 60_000 } });
    const oldest = await stranger(b);
    await expect.poll(() => b.peers.strangers).toBe(1);
    const others = [await stranger(b), await stranger(b)];
    await expect.poll(() => b.peers.strangers).toBe(3);
    const a = await side('a', among);
    await oldest.closed;
    await expect.poll(() => [a.peers.linked, b.peers.linked]).toEqual([['b'], ['a']]);
    expect(b.peers.strangers).toBe(2);
    // Whoever has shown itself takes no stranger's place and loses none to one.
    const more = [await stranger(b), await stranger(b), await stranger(b)];
    await Promise.all(others.map(({ closed }) => closed));
    await expect.poll(() => b.peers.strangers).toBe(3);
    expect(a.peers.linked).toEqual(['b']);
    expect(more).toHaveLength(3);
  });
});
