import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLog } from '#kit/log.ts';
import { startAgent } from '#support/agent.ts';
import { TinyHub } from '#support/tiny-hub.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { isPrivateLine, socketUrl } from './connection.ts';

let hub: TinyHub;
const agents: { close(): Promise<void> }[] = [];
const start = async (...args: Parameters<typeof startAgent>) => {
  const agent = await startAgent(...args);
  agents.push(agent);
  return agent;
};
const registers = () => hub.messages.filter(({ type }) => type === 'register');
const request = { messages: [{ role: 'user', content: 'Hello there' }] };

beforeEach(async () => {
  hub = await TinyHub.open({ extension: true });
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.close()));
  await hub.close();
});

/** Moves a clock on while real sockets do their work, until `look` is satisfied. */
async function passTime(
  clock: VirtualClock,
  stepMs: number,
  look: () => boolean,
  stepsMax = 2_000,
): Promise<number> {
  for (let passed = 0, i = 0; i < stepsMax; i++, passed += stepMs) {
    if (look()) return passed;
    await clock.advance(stepMs);
  }
  throw new Error('time passed in vain');
}

describe('the address', () => {
  it.each([
    ['ws://hub:8081', 'ws://hub:8081/ws'],
    ['ws://hub:8081/', 'ws://hub:8081/ws'],
    ['ws://hub:8081/ws', 'ws://hub:8081/ws'],
    ['wss://hub/market/ws/', 'wss://hub/market/ws'],
  ])('%s is dialled at %s', (configured, dialled) => expect(socketUrl(configured)).toBe(dialled));

  it('is private with TLS or on this machine only', () => {
    expect(['wss://hub', 'ws://127.0.0.1:1', 'ws://[::1]:1'].every(isPrivateLine)).toBe(true);
    expect(['ws://hub', 'ws://127.0.0.1.example.org'].some(isPrivateLine)).toBe(false);
    expect(() => socketUrl('http://hub')).toThrow('no ws://');
  });
});

describe('registering', () => {
  it('tells who we are, what we serve and what we can speak, and then how the models are', async () => {
    const agent = await start(hub.url, ['org/one=rehearsal:', 'two=rehearsal:']);
    expect(await agent.registered).toEqual({ models: ['org/one', 'two'], extension: true });
    const { payload } = await hub.message('register');
    expect(payload).toMatchObject({
      node_id: expect.stringMatching(/^04[0-9a-f]{128}$/),
      provider_id: payload['node_id'],
      worker_addr: payload['node_id'],
      owner_addr: '',
      node_name: 'test',
      token: 'sk-prov-test',
      models: ['org/one', 'two'],
      capabilities: ['inference', 'verification', 'cygnet.stream.v1'],
    });
    expect(payload).not.toHaveProperty('hardware');
    expect((await hub.message('model_health_update')).payload).toMatchObject({
      model_health: { 'org/one': 'healthy', two: 'healthy' },
    });
  });

  it('keeps its node identity over restarts', async () => {
    const one = await start(hub.url, ['m=rehearsal:']);
    const two = await start(hub.url, ['m=rehearsal:'], { folder: one.folder });
    expect(two.nodeId).toBe(one.nodeId);
    const other = await start(hub.url, ['m=rehearsal:']);
    expect(other.nodeId).not.toBe(one.nodeId);
  });

  it('says so when the key is refused, stays quiet, and tries again slowly', async () => {
    hub.ack = { success: false, message: 'unknown key' };
    const clock = new VirtualClock();
    const agent = await start(hub.url, ['m=rehearsal:'], { clock });
    let reason: string | undefined;
    const listen = async (): Promise<void> => {
      reason = await agent.refused;
    };
    void listen();
    await passTime(clock, 10, () => reason !== undefined);
    expect(reason).toBe('unknown key');
    const tookMs = await passTime(clock, 1_000, () => hub.connections === 2);
    expect(tookMs).toBeGreaterThanOrEqual(60_000);
    expect(registers().length).toBeLessThanOrEqual(2);
    expect(hub.messages.some(({ type }) => type === 'heartbeat')).toBe(false);
  });

  it('comes back soon when the hub cannot register anybody, since that says nothing about its key', async () => {
    const good = hub.ack;
    hub.error = { code: 503, message: 'Registration is not possible right now.' };
    hub.ack = { success: false, message: 'Registration is not possible right now.' };
    const clock = new VirtualClock();
    const agent = await start(hub.url, ['m=rehearsal:'], { clock });
    await passTime(clock, 100, () => hub.connections === 5);
    hub.error = undefined;
    hub.ack = good;
    const tookMs = await passTime(clock, 500, () => agent.connected);
    expect(tookMs).toBeLessThanOrEqual(31_000);
  });

  it('speaks the binary dialect only with a hub that agreed to it', async () => {
    await hub.close();
    hub = await TinyHub.open({ extension: false });
    const agent = await start(hub.url, ['m=rehearsal:']);
    expect((await agent.registered).extension).toBe(false);
    hub.job(request);
    hub.say('inference', 'r', { model_id: 'm', request, stream: false });
    await hub.message('ack', 'r');
    expect(hub.binaryMessages).toBe(0);
  });
});

describe('the line', () => {
  it('beats every 30 seconds with what is ready and being done', async () => {
    const clock = new VirtualClock();
    await start(hub.url, ['m=rehearsal:'], { clock });
    await passTime(clock, 10, () => hub.messages.some(({ type }) => type === 'model_health_update'));
    const tookMs = await passTime(clock, 500, () => hub.messages.some(({ type }) => type === 'heartbeat'));
    expect(tookMs).toBeGreaterThan(28_000);
    expect(tookMs).toBeLessThan(32_000);
    expect((await hub.message('heartbeat')).payload).toMatchObject({
      models: ['m'],
      model_health: { m: 'healthy' },
      metrics: { active_requests: 0, total_requests: 0, gpu_utilization: 0 },
    });
  });

  it('comes back at once when it is cut, and lets go of everything that belonged to the old one', async () => {
    const agent = await start(hub.url, ['m=rehearsal:endless,paced=2']);
    await agent.registered;
    const stream = hub.job(request);
    await hub.until(() => stream.events > 2, 'some events');
    hub.socket?.terminate();
    await hub.until(() => registers().length === 2, 'a new registration');
    // The new line has its own streams: the same number means another job, and nothing of the old one arrives.
    hub.streams.delete(stream.id);
    const { payload } = await hub.until(
      () => hub.messages.findLast(({ type }) => type === 'model_health_update') as { payload: unknown },
      'health',
    );
    expect(payload).toBeTruthy();
    const next = hub.job({ ...request, rehearsal: 'tokens=3,paced=0' }, { stream: false });
    hub.cancel(next.id);
    await hub.ended(next);
  });

  it('writes down in which words the hub hung up', async () => {
    const lines: { why?: string }[] = [];
    const log = openLog({
      level: 'warn',
      destination: { write: (line) => void lines.push(JSON.parse(line)) },
    });
    const agent = await start(hub.url, ['m=rehearsal:'], { log });
    await agent.registered;
    hub.socket?.close(1008, 'a newer connection of this node took over');
    await hub.until(() => registers().length === 2, 'a new registration');
    expect(lines).toMatchObject([
      { why: 'the hub hung up: a newer connection of this node took over (code 1008)' },
    ]);
  });

  it('backs off more and more while the hub is away', async () => {
    const clock = new VirtualClock();
    await start(hub.url, ['m=rehearsal:'], { clock });
    await passTime(clock, 10, () => registers().length === 1);
    const { url } = hub;
    await hub.close();
    // Many dials fail meanwhile; none of them may keep the agent from coming back within half a minute of the hub.
    await passTime(clock, 100, () => clock.nowMs() > 120_000, 3_000);
    hub = await TinyHub.open({ extension: true, port: Number(new URL(url).port) });
    const tookMs = await passTime(clock, 100, () => registers().length === 1);
    expect(tookMs).toBeLessThanOrEqual(31_000);
  });

  it('registers anew when a model falls ill, and again when it is well', async () => {
    const clock = new VirtualClock();
    const agent = await start(hub.url, ['good=rehearsal:', 'bad=rehearsal:down'], { clock });
    await passTime(clock, 10, () => agent.connected);
    expect(registers()[0]?.payload).toMatchObject({ models: ['good', 'bad'] });
    await passTime(clock, 1_000, () => registers().length === 2);
    expect(registers()[1]?.payload).toMatchObject({ models: ['good'] });
    const health = hub.messages.filter(({ type }) => type === 'model_health_update').at(-1);
    expect(health?.payload).toMatchObject({ model_health: { good: 'healthy', bad: 'unhealthy' } });
    expect(hub.connections).toBe(1);
  });

  it('gives up a hub that answers no heartbeat', async () => {
    const clock = new VirtualClock();
    const agent = await start(hub.url, ['m=rehearsal:'], { clock });
    await passTime(clock, 10, () => agent.connected);
    hub.ack = undefined;
    const tookMs = await passTime(clock, 1_000, () => hub.connections === 2);
    expect(tookMs).toBeGreaterThan(90_000);
    expect(tookMs).toBeLessThan(125_000);
  });
});

describe('leaving', () => {
  it('tells the hub, finishes what is under way, refuses what is new, and hangs up', async () => {
    const agent = await start(hub.url, ['m=rehearsal:tokens=20,paced=10']);
    await agent.registered;
    const running = hub.job(request);
    await hub.until(() => running.events > 0, 'the first event');
    const left = agent.drain();
    await hub.until(() => hub.drained, 'the drain frame');
    const late = hub.job(request);
    expect(await hub.ended(late)).toMatchObject({ status: 503 });
    expect(await hub.ended(running)).toMatchObject({ status: 200, usage: { completion_tokens: 20 } });
    await left;
    expect(hub.connections).toBe(1);
  });

  it('withdraws its models from a hub that knows no drain', async () => {
    await hub.close();
    hub = await TinyHub.open({ extension: false });
    const agent = await start(hub.url, ['m=rehearsal:tokens=20,paced=10']);
    await agent.registered;
    hub.say('inference', 'r', { model_id: 'm', request, stream: true });
    await hub.message('stream_chunk', 'r');
    const left = agent.drain();
    await hub.until(() => registers().length === 2, 'a registration without models');
    expect(registers()[1]?.payload).toMatchObject({ models: [] });
    expect((await hub.message('stream_end', 'r')).payload).toMatchObject({ tokens_output: 20 });
    await left;
  });

  it('waits no longer than it was told', async () => {
    const agent = await start(hub.url, ['m=rehearsal:endless,paced=5'], { drainMs: 50 });
    await agent.registered;
    const stream = hub.job(request);
    await hub.until(() => stream.events > 0, 'the first event');
    await agent.drain();
    expect(stream.end).toBeUndefined();
  });
});
