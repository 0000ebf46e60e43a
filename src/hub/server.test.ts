import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { systemClock } from '#kit/clock.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { answerPlainly, dialSocket, SwanAgent, type SwanAgentOptions } from '#support/swan-agent.ts';
import { MODEL, testHub, testJob } from '#support/test-hub.ts';
import { DEFAULT_ADMISSION } from './admission.ts';
import type { Link } from './link.ts';
import { HubServer, type HubServerSettings } from './server.ts';
import type { HubSettings } from './settings.ts';

/** How long a state may take to come about where everything else is slow, too. */
const WAIT = { timeout: 20_000, interval: 20 };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A registration of generation C. */
const REGISTER = JSON.stringify({
  type: 'register',
  request_id: 'r',
  payload: { node_id: 'ef'.repeat(65), token: 'sk-prov-one', models: [MODEL], cp_version: '0.6.0' },
});

async function open(settings: Partial<HubSettings> = {}, server: Partial<HubServerSettings> = {}) {
  const { hub, rooms } = testHub(systemClock, { settings });
  const door = await HubServer.open(hub, {
    clock: systemClock,
    settings: { port: 0, goodbyeMs: 100, ...server },
  });
  closers.push(() => door.close());
  const url = `ws://127.0.0.1:${door.port}/ws`;
  const join = async (over: Partial<SwanAgentOptions> = {}): Promise<SwanAgent> => {
    const agent = new SwanAgent({
      generation: 'A',
      token: 'sk-prov-one',
      nodeId: 'ab'.repeat(65),
      models: [MODEL],
      clock: systemClock,
      dial: dialSocket(url),
      ...over,
    });
    closers.push(() => agent.stop());
    await agent.start();
    await agent.until(() => agent.acks.length > 0);
    return agent;
  };
  const ask = (over = {}): RecordedSink => {
    const sink = new RecordedSink();
    const candidate = hub.candidates(MODEL)[0];
    if (!candidate) throw new Error('no candidate');
    (hub.linkOf(candidate) as Link).start(testJob(over), sink);
    return sink;
  };
  return { hub, rooms, door, url, join, ask };
}

/** The HTTP status that an upgrade is answered with: 101 when it succeeds. */
function upgrade(url: string): Promise<{ status: number; retryAfter?: string | undefined; ws?: WebSocket }> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url);
    ws.on('open', () => {
      closers.push(() => ws.terminate());
      resolve({ status: 101, ws });
    });
    ws.on('unexpected-response', (_, response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
    });
    ws.on('error', reject);
  });
}

describe('over real sockets', () => {
  it.each(['A', 'B', 'C'] as const)(
    'an agent of generation %s registers and serves, streamed and not',
    async (generation) => {
      const { join, ask } = await open();
      const agent = await join({ generation, script: answerPlainly });
      expect(agent.registered).toBe(true);
      const streamed = ask();
      const whole = ask({ stream: false });
      expect((await streamed.ended).outcome).toBe('completed');
      expect(streamed.text).toBe('one two three');
      expect((await whole.ended).outcome).toBe('completed');
    },
  );

  it('pings are answered, registered or not, so that the agent keeps its connection', async () => {
    const { url } = await open();
    for (const register of [REGISTER, undefined]) {
      const { ws } = await upgrade(url);
      if (register) ws?.send(register);
      for (let i = 0; i < 3; i++) {
        const pong = new Promise<Buffer>((resolve) => ws?.once('pong', resolve));
        ws?.ping(`ping ${i}`);
        expect((await pong).toString()).toBe(`ping ${i}`);
      }
    }
  });

  it('a ping that comes while a long prompt is on its way is answered behind it, not forgotten', async () => {
    const { url, ask, hub } = await open();
    const { ws } = await upgrade(url);
    ws?.send(REGISTER);
    await new Promise((resolve) => ws?.once('message', resolve));
    ws?.pause();
    ask({
      body: Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: 'x'.repeat(24_000_000) }] })),
    });
    const ignored = hub.counters.ignored;
    ws?.ping('are you there?');
    // What is sent behind the ping has arrived when it is counted, and so has the ping.
    ws?.send('{"type":"marker","payload":{}}');
    while (hub.counters.ignored === ignored) await new Promise((resolve) => setImmediate(resolve));
    const pong = new Promise<Buffer>((resolve) => ws?.once('pong', resolve));
    ws?.resume();
    expect((await pong).toString()).toBe('are you there?');
  });

  it('an agent that dies is noticed at once, and comes back', async () => {
    const { join, ask, hub } = await open();
    const agent = await join({ script: (served) => served.token('x') });
    const sink = ask();
    await agent.until(() => agent.inferences.length === 1);
    agent.reconnect();
    expect((await sink.ended).outcome).toBe('lost');
    await agent.until(() => agent.acks.length === 2);
    expect(hub.candidates(MODEL)).toHaveLength(1);
  });

  it('agents come back by themselves after a restart of the hub', async () => {
    const first = await open();
    const agent = await first.join();
    const { port } = first.door;
    await first.door.close();
    const second = testHub(systemClock);
    const door = await HubServer.open(second.hub, { clock: systemClock, settings: { port, goodbyeMs: 100 } });
    closers.push(() => door.close());
    await agent.until(() => agent.acks.length === 2);
    expect(second.hub.candidates(MODEL)).toHaveLength(1);
  });

  it('a prompt of 0.9 MB reaches an old agent, one of 1.1 MB is not sent', async () => {
    const { join, ask } = await open();
    const agent = await join({ script: answerPlainly });
    const body = (bytes: number) =>
      Buffer.from(JSON.stringify({ model: MODEL, messages: ['x'.repeat(bytes)] }));
    expect((await ask({ body: body(900_000) }).ended).outcome).toBe('completed');
    expect((await ask({ body: body(1_100_000) }).ended).outcome).toBe('refused');
    expect(agent.overlong).toBe(0);
    expect(agent.dials).toBe(1);
  });
});

describe('the door', () => {
  it('answers /health, takes agents at /ws and /ws/ws without compression, and knows nothing else', async () => {
    const { door, url } = await open();
    const base = `http://127.0.0.1:${door.port}`;
    expect((await fetch(`${base}/health`)).status).toBe(200);
    expect((await fetch(`${base}/ws`)).status).toBe(404);
    const { status, ws } = await upgrade(url);
    // The client of the tests offers to compress.
    expect({ status, extensions: ws?.extensions }).toEqual({ status: 101, extensions: '' });
    expect((await upgrade(`${url}/ws`)).status).toBe(101);
    expect((await upgrade(`ws://127.0.0.1:${door.port}/other`)).status).toBe(404);
  });

  it('refuses a storm of upgrades with 503 and a time to wait, but not those who register', async () => {
    const { url, join, hub } = await open({}, { admission: { ...DEFAULT_ADMISSION, burst: 3 } });
    for (let i = 0; i < 8; i++) await join({ nodeId: `${i}`.repeat(64) });
    expect(hub.candidates(MODEL)).toHaveLength(8);
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await upgrade(url));
    expect(answers.map((each) => each.status)).toEqual([101, 101, 101, 503, 503]);
    expect(Number(answers[4]?.retryAfter)).toBeGreaterThan(0);
    expect(hub.counters.upgradesRefused).toBe(2);
  });

  it('keeps no place for those who left while they waited for their turn', async () => {
    const admission = { ...DEFAULT_ADMISSION, exemptLoopback: true };
    const { hub, door, url } = await open({ handshakesPerTurn: 1 }, { admission, linksMax: 4 });
    const hello = [
      'GET /ws HTTP/1.1',
      'host: hub',
      'connection: upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      `sec-websocket-key: ${Buffer.alloc(16).toString('base64')}`,
    ];
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(door.port, '127.0.0.1');
        await once(socket, 'connect');
        socket.write(`${hello.join('\r\n')}\r\n\r\n`, () => socket.resetAndDestroy());
        await once(socket, 'close');
      }),
    );
    await vi.waitFor(() => {
      expect({ links: hub.links, waiting: hub.turnstile.waiting }).toEqual({ links: 0, waiting: 0 });
    }, WAIT);
    for (let i = 0; i < 4; i++)
      await vi.waitFor(async () => expect((await upgrade(url)).status).toBe(101), WAIT);
    expect((await upgrade(url)).status).toBe(503);
  });

  it('does not believe X-Forwarded-For unless a proxy is configured', async () => {
    const { hub, url } = await open({}, { admission: { ...DEFAULT_ADMISSION, burst: 1 } });
    const dial = (from: string): Promise<number> =>
      new Promise((resolve) => {
        const ws = new WebSocket(url, { headers: { 'x-forwarded-for': from } });
        ws.on('open', () => {
          closers.push(() => ws.terminate());
          resolve(101);
        });
        ws.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
        ws.on('error', () => undefined);
      });
    expect([await dial('198.51.100.1'), await dial('198.51.100.2')]).toEqual([101, 503]);
    expect(hub.links).toBe(1);
  });

  it('holds no more than a registration in memory for a stranger', async () => {
    const { url, hub } = await open({ anonymousBytesMax: 100_000 });
    const { ws } = await upgrade(url);
    const closed = new Promise((resolve) => ws?.on('close', resolve));
    ws?.on('error', () => undefined);
    ws?.send(Buffer.alloc(8_000_000));
    await closed;
    expect(hub.links).toBe(0);
  });

  it('closes a socket that sends more than any message may be, and no other', async () => {
    const { join, hub } = await open({ messageBytesMax: 3_000_000 });
    const agent = await join({ timings: { heartbeatMs: 60_000, pingMs: 60_000, readDeadlineMs: 60_000 } });
    await join({ nodeId: 'cd'.repeat(65) });
    agent.raw('x'.repeat(4_000_000));
    await agent.until(() => agent.acks.length === 2);
    expect(agent.dials).toBe(2);
    expect(hub.candidates(MODEL)).toHaveLength(2);
  });
});
