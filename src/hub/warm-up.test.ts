import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import type { Candidate } from '#routing/candidate.ts';
import { leastConnections } from '#routing/strategies/least-connections.ts';
import { dialMemory, SwanAgent, type SwanAgentOptions } from '#support/swan-agent.ts';
import { MODEL, SECOND_MODEL, testHub, testJob } from '#support/test-hub.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { STREAM_EXTENSION } from '#wire/agent/frames.ts';
import type { Link } from './link.ts';
import { ServiceBook } from './service-book.ts';
import { WarmUps } from './warm-up.ts';

let clock: VirtualClock;
let house: ReturnType<typeof testHub>;
let warmUps: WarmUps;
let agents: SwanAgent[];

beforeEach(() => {
  clock = new VirtualClock();
  house = testHub(clock);
  agents = [];
  const service = new ServiceBook({
    clock,
    random: seededRandomness(1),
    strategy: leastConnections(),
    candidates: (modelId) => house.hub.candidates(modelId),
  });
  warmUps = new WarmUps({
    clock,
    log: silentLog,
    candidates: (modelId) => house.hub.candidates(modelId),
    warmUp: (candidate, modelId) => house.hub.registry.warmUp(candidate, modelId),
    failed: (candidate, modelId) => service.warmUpFailed(candidate, modelId),
  });
});
afterEach(async () => {
  warmUps.close();
  for (const agent of agents) agent.stop();
  await house.hub.close();
});

async function join(over: Partial<SwanAgentOptions> = {}): Promise<SwanAgent> {
  const agent = new SwanAgent({
    generation: 'C',
    token: 'sk-prov-one',
    nodeId: String(agents.length + 10).repeat(65),
    models: [MODEL],
    clock,
    dial: dialMemory((transport) => house.hub.attach(transport)),
    ...over,
  });
  agents.push(agent);
  await agent.start();
  await clock.advance(10);
  expect(agent.registered).toBe(true);
  return agent;
}

const only = (): Candidate => house.hub.candidates(MODEL)[0] as Candidate;

test.each([
  ['generation A', { generation: 'A' as const }],
  ['generation B', { generation: 'B' as const }],
  ['generation C', { generation: 'C' as const }],
  ['the binary extension', { register: { capabilities: ['inference', STREAM_EXTENSION] } }],
])('a node of %s that newly lists a wanted model is asked once, and answers', async (_which, over) => {
  warmUps.asked(MODEL);
  const agent = await join(over);
  await clock.advance(60_000);
  expect(agent.warmUps).toEqual([MODEL]);
  expect(house.hub.counters).toMatchObject({ malformed: 0, foreignFrames: 0, lateFrames: 0 });
  // It counts for nothing: a provider cannot earn a name by it.
  expect(only().record).toMatchObject({ outcomes: 0, lastOutcomeMs: null });
});

test('a model that nobody asked for is left as it is', async () => {
  const agent = await join({ models: [MODEL, SECOND_MODEL] });
  warmUps.asked(MODEL);
  await clock.advance(60_000);
  expect(agent.warmUps).toEqual([MODEL]);
});

test('a node is asked for one model at a time, and for none while a request runs there', async () => {
  const agent = await join({
    models: [MODEL, SECOND_MODEL],
    warmUp: 'says nothing',
    script: () => {},
  });
  const sink = { data: () => {}, result: () => {}, end: () => {} };
  const attempt = (house.hub.linkOf(only()) as Link).start(testJob(), sink);
  warmUps.asked(MODEL);
  warmUps.asked(SECOND_MODEL);
  await clock.advance(30_000);
  expect(agent.warmUps).toEqual([]);
  attempt.cancel('consumer_disconnected');
  await clock.advance(30_000);
  expect(agent.warmUps).toHaveLength(1);
});

test('a node that cannot warm up is less trusted, and is left alone for longer each time', async () => {
  const agent = await join({ warmUp: 'fails' });
  const asking = clock.every(1_000, () => warmUps.asked(MODEL));
  await clock.advance(30_000);
  expect(agent.warmUps).toHaveLength(1);
  const before = only().record.success;
  expect(only().breaker.consecutiveFailures).toBe(1);
  expect(before).toBeLessThan(0.8);
  await clock.advance(60_000);
  expect(agent.warmUps).toHaveLength(2);
  await clock.advance(60_000);
  expect(agent.warmUps).toHaveLength(2);
  await clock.advance(70_000);
  expect(agent.warmUps).toHaveLength(3);
  asking.cancel();
});

test('an answer that never comes says nothing about the node, and one that comes late is dropped', async () => {
  const agent = await join({ warmUp: 'says nothing' });
  const asking = clock.every(1_000, () => warmUps.asked(MODEL));
  await clock.advance(200_000);
  expect(agent.warmUps).toHaveLength(1);
  expect(only().record.outcomes).toBe(0);
  agent.send('ack', 'warm_nobody_asked', { success: false });
  await clock.advance(10);
  expect(only().record.outcomes).toBe(0);
  expect(house.hub.counters.lateFrames).toBe(1);
  asking.cancel();
});

test('a model that went idle is loaded again when it is wanted, on one node of several', async () => {
  const both = [await join(), await join({ token: 'sk-prov-two' })];
  warmUps.asked(MODEL);
  await clock.advance(20_000);
  expect(both.map((agent) => agent.warmUps.length)).toEqual([1, 1]);
  await clock.advance(300_000);
  warmUps.asked(MODEL);
  await clock.advance(20_000);
  expect(both.reduce((sum, agent) => sum + agent.warmUps.length, 0)).toBe(3);
});

test('an agent that leaves in the middle of its warm-up takes nobody with it', async () => {
  const agent = await join({ warmUp: 'says nothing' });
  warmUps.asked(MODEL);
  await clock.advance(6_000);
  agent.reconnect();
  await clock.advance(100);
  expect(house.hub.candidates(MODEL)).toHaveLength(1);
  expect(only().record.outcomes).toBe(0);
});
