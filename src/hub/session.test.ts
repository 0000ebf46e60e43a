import { describe, expect, it } from 'vitest';
import type { Candidate } from '#routing/candidate.ts';
import { MemoryTransport } from '#support/memory-transport.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { dialMemory, type Served, SwanAgent, type SwanAgentOptions } from '#support/swan-agent.ts';
import { MODEL, SECOND_MODEL, testHub, testJob } from '#support/test-hub.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { noticeSchema } from '#wire/agent/messages.ts';
import type { Link } from './link.ts';
import type { HubSettings } from './settings.ts';

const NODE = 'ab'.repeat(65);

function world(settings: Partial<HubSettings> = {}) {
  const clock = new VirtualClock();
  const { hub, rooms } = testHub(clock, { settings });
  const transports: MemoryTransport[] = [];
  const join = async (over: Partial<SwanAgentOptions> = {}): Promise<SwanAgent> => {
    const agent = new SwanAgent({
      generation: 'A',
      token: 'sk-prov-one',
      nodeId: NODE,
      models: [MODEL],
      clock,
      dial: dialMemory((transport) => {
        transports.push(transport);
        hub.attach(transport);
      }),
      ...over,
    });
    await agent.start();
    await settlePromises();
    return agent;
  };
  const first = (modelId = MODEL): Candidate => hub.candidates(modelId)[0] as Candidate;
  const ask = (candidate = first()): RecordedSink => {
    const sink = new RecordedSink();
    (hub.linkOf(candidate) as Link).start(testJob(), sink);
    return sink;
  };
  return { clock, hub, rooms, join, transports, first, ask };
}

describe('a registration', () => {
  it('makes a node a candidate and tells it which models were accepted', async () => {
    const { hub, join, first } = world();
    const agent = await join({ models: [MODEL, 'nobody/knows', 'glm-4.7-flash'] });
    expect(agent.lastAck).toMatchObject({ success: true, registered_models: [MODEL] });
    expect(agent.lastAck?.['message']).toContain('nobody/knows: not in the catalogue');
    expect(agent.lastAck?.['message']).toContain('glm-4.7-flash: listed twice');
    expect(agent.lastAck).not.toHaveProperty('extensions');
    expect(first()).toMatchObject({
      nodeId: NODE,
      providerId: 'prov_one',
      eligible: true,
      health: 'healthy',
      capacity: 10,
      linkCapacity: 10,
    });
    expect(hub.candidates('nobody/knows')).toEqual([]);
  });

  it.each([
    ['no models at all', { models: null }, []],
    ['a missing list', { models: undefined }, []],
    ['an empty list', { models: [] }, []],
    ['fields from tomorrow', { future: { deep: [1] }, models: [MODEL] }, [MODEL]],
    ['odd hardware', { hardware: 'a big one', models: [MODEL] }, [MODEL]],
    ['numbers as text', { hardware: { vram_gb: '6', gpu_count: '2' }, models: [MODEL] }, [MODEL]],
    ['unknown memory', { hardware: { vram_gb: 0, gpu_count: 1 }, models: [MODEL] }, [MODEL]],
    ['a rounded card', { hardware: { vram_gb: 23, gpu_count: 1 }, models: [MODEL] }, [MODEL]],
    ['two small cards', { hardware: { vram_gb: 12, gpu_count: 2 }, models: [MODEL] }, [MODEL]],
    [
      'too little memory for the model',
      { hardware: { vram_gb: 16, gpu_count: 1 }, models: [MODEL, SECOND_MODEL] },
      [SECOND_MODEL],
    ],
    [
      'too little memory for anything',
      { hardware: { vram_gb: 6, gpu_count: 8 }, models: [MODEL, SECOND_MODEL] },
      [],
    ],
  ])('with %s is accepted', async (_, over, accepted) => {
    const { join } = world();
    const agent = await join({ register: over });
    expect(agent.lastAck).toMatchObject({ success: true, registered_models: accepted });
  });

  it('of a thousand models that nobody sells lists what is sold, and is answered in bounds; one of ten thousand is not read', async () => {
    const { hub, join } = world();
    const spam = (count: number) => Array.from({ length: count }, (_, i) => `spam/model-${i}`);
    const huge = await join({ models: [MODEL, ...spam(10_000)] });
    expect(hub.counters.malformed).toBe(1);
    expect([...hub.registry.models()]).toEqual([]);
    huge.stop();
    const agent = await join({ models: [...spam(999), MODEL] });
    expect(agent.lastAck).toMatchObject({ success: true, registered_models: [MODEL] });
    expect(JSON.stringify(agent.lastAck).length).toBeLessThan(4_096);
    expect([...hub.registry.models()]).toEqual([MODEL]);
    expect(hub.registry.presenceOf(NODE)?.known.size).toBe(1);
    // Nor does calling them ill leave more than a few names.
    agent.health(Object.fromEntries(spam(1_000).map((id) => [id, 'unhealthy'])));
    await settlePromises();
    expect(hub.registry.presenceOf(NODE)?.ill).toHaveLength(50);
  });

  it.each([
    ['a consumer key', { token: 'sk-swan-consumer' }],
    ['an unknown key', { token: 'sk-prov-nobody' }],
    ['no key', { token: '' }],
    ['a node id with a line break', { nodeId: 'ab\ncd' }],
  ])('with %s is refused, and the socket is closed no sooner than half a minute later', async (_, over) => {
    const { hub, join, clock, transports } = world();
    const agent = await join(over);
    expect(agent.errors).toHaveLength(1);
    expect(agent.acks).toMatchObject([{ success: false }]);
    expect(hub.candidates(MODEL)).toHaveLength(0);
    await clock.advance(29_000);
    expect(transports[0]?.closedWith).toBeUndefined();
    expect(transports).toHaveLength(1);
    await clock.advance(32_000);
    expect(transports[0]?.closedWith).toBe(1008);
  });

  it('waits for its turn when many come at once, and one that leaves meanwhile takes nobody with it', async () => {
    const { clock, hub, join } = world({ handshakesPerTurn: 1 });
    const node = (i: number): string => String(i).padStart(130, 'a');
    const agents: SwanAgent[] = [];
    for (let i = 0; i < 5; i++) agents.push(await join({ nodeId: node(i) }));
    expect(hub.candidates(MODEL).length).toBeLessThan(5);
    // What it sends while it waits is taken when it has registered.
    agents[4]?.health({ [MODEL]: 'degraded' });
    agents[3]?.stop();
    await clock.advance(0);
    expect(hub.candidates(MODEL).map(({ nodeId }) => nodeId)).toEqual([0, 1, 2, 4].map(node));
    expect(hub.candidates(MODEL)[3]?.health).toBe('degraded');
    expect(hub.links).toBe(4);
    expect(hub.turnstile.waiting).toBe(0);
  });

  it('states a model by its declaration rather than by its hash, where it holds both', async () => {
    const model_hashes = [{ model_id: MODEL, weight_hash: 'old', quantization: 'int4' }];
    const model_declarations = [{ model_id: MODEL, weight_hash: 'new', quantization: 'FP8' }];
    for (const [register, stated] of [
      [{ model_hashes }, { quantization: 'int4', version: 'old' }],
      [
        { model_hashes, model_declarations },
        { quantization: 'fp8', version: 'new' },
      ],
    ] as const) {
      const { join, first } = world();
      await join({ register });
      expect(first()).toMatchObject(stated);
    }
  });

  it('is refused to a revoked key and to an impostor with the node id of another provider', async () => {
    const { rooms, join, hub } = world();
    await join();
    const impostor = await join({ token: 'sk-prov-two' });
    expect(impostor.acks).toMatchObject([{ success: false }]);
    expect(hub.candidates(MODEL).map((each) => each.providerId)).toEqual(['prov_one']);
    rooms.revoked.add('key_two');
    const revoked = await join({ token: 'sk-prov-two', nodeId: 'cd'.repeat(65) });
    expect(revoked.acks).toMatchObject([{ success: false, message: 'This provider key was revoked.' }]);
  });

  it('that never comes closes the socket after thirty seconds', async () => {
    const { join, clock, transports } = world();
    await join({ registers: false });
    await clock.advance(29_000);
    expect(transports[0]?.closedWith).toBeUndefined();
    await clock.advance(2_000);
    expect(transports[0]?.closedWith).toBe(1008);
  });

  it('keeps what arrives while the node is looked up, up to a bound', async () => {
    const { rooms, join, first, hub } = world({ queuedMessagesMax: 3 });
    let answer = (): void => undefined;
    rooms.storeAnswers = () => new Promise((resolve) => (answer = resolve));
    const agent = await join();
    agent.health({ [MODEL]: 'degraded' });
    expect(agent.acks).toEqual([]);
    answer();
    await settlePromises();
    expect(agent.registered).toBe(true);
    expect(first().health).toBe('degraded');
    rooms.storeAnswers = () => new Promise(() => undefined);
    const flood = await join({ nodeId: 'ef'.repeat(65) });
    for (let i = 0; i < 4; i++) flood.heartbeat();
    expect(hub.counters.floods).toBe(1);
    expect(hub.candidates(MODEL)).toHaveLength(1);
  });

  it('is put off, not cut off, when nobody can say whose node it is', async () => {
    const { rooms, join, clock } = world();
    rooms.storeAnswers = () => Promise.reject(new Error('the store is away'));
    const agent = await join();
    expect(agent.acks).toMatchObject([{ success: false }]);
    rooms.storeAnswers = () => new Promise(() => undefined);
    const other = await join({ nodeId: 'cd'.repeat(65) });
    await clock.advance(11_000);
    expect(other.acks).toMatchObject([{ success: false }]);
  });

  it('with a key that was made a moment ago elsewhere is let in, not sent away for a minute', async () => {
    const { rooms, join } = world();
    const known = rooms.keys.get('sk-prov-one');
    if (!known) throw new Error('There is no such key.');
    rooms.newer.set('sk-prov-new', { ...known, id: 'key_new' });
    const agent = await join({ token: 'sk-prov-new' });
    expect(agent.registered).toBe(true);
    const stranger = await join({ token: 'sk-prov-never', nodeId: 'cd'.repeat(65) });
    expect(stranger.acks).toMatchObject([{ success: false, message: 'This provider key is not known.' }]);
  });

  it('with an unknown key is put off, not refused, while nobody can be asked about it', async () => {
    const { rooms, join } = world();
    rooms.storeAnswers = () => Promise.reject(new Error('the store is away'));
    const agent = await join({ token: 'sk-prov-new' });
    expect(agent.acks).toMatchObject([
      { success: false, message: 'Registration is not possible right now.' },
    ]);
  });

  it('on the same socket replaces the list of models, whole', async () => {
    const { hub, join, first, ask } = world();
    const agent = await join({ models: [MODEL, SECOND_MODEL], script: () => undefined });
    const sink = ask();
    const before = first();
    agent.options.models = [SECOND_MODEL];
    agent.register();
    expect(hub.candidates(MODEL)).toEqual([]);
    expect(hub.candidates(SECOND_MODEL)).toHaveLength(1);
    expect(first(SECOND_MODEL).linkInFlight).toBe(1);
    // What runs goes on, and is still counted when the model returns.
    expect(sink.ending).toBeUndefined();
    agent.options.models = [MODEL];
    agent.register();
    expect(first()).toBe(before);
    expect(first().inFlight).toBe(1);
    agent.inferences[0]?.token('x');
    agent.inferences[0]?.finish();
    agent.inferences[0]?.end();
    expect(sink.ending?.outcome).toBe('completed');
    expect(first()).toMatchObject({ inFlight: 0, linkInFlight: 0 });
  });

  it('cannot turn a connection into another node', async () => {
    const { join, first } = world();
    const agent = await join();
    agent.register({ node_id: 'cd'.repeat(65) });
    agent.register({ token: 'sk-prov-two' });
    expect(agent.acks.slice(1).map((ack) => ack['success'])).toEqual([false, false]);
    expect(first()).toMatchObject({ nodeId: NODE, providerId: 'prov_one' });
  });
});

describe('two connections', () => {
  it('of one node: the newest wins, and what the older served is lost at once', async () => {
    const { hub, join, ask, first } = world();
    // The older machine cannot dial again for now; otherwise the two would take turns (which admission slows down).
    let dialled = false;
    const transport = new MemoryTransport();
    await join({
      script: () => undefined,
      dial: (on) => {
        if (dialled) return Promise.reject(new Error('no way'));
        dialled = true;
        transport.toAgent = (data) => on.message(data);
        transport.agentHearsClose = () => on.closed();
        hub.attach(transport);
        return Promise.resolve({
          send: (data) => transport.arrive(data),
          ping: () => on.pong(),
          cut: () => transport.cut(),
        });
      },
    });
    const sink = ask();
    const older = first();
    older.breaker.consecutiveFailures = 3;
    await join();
    expect(sink.ending?.outcome).toBe('lost');
    expect(transport.closedWith).toBe(1008);
    expect(hub.candidates(MODEL)).toHaveLength(1);
    expect(hub.counters.replaced).toBeGreaterThan(0);
    // The record stays with the node.
    expect(first().breaker).toBe(older.breaker);
  });

  it('of two nodes with one key are two candidates', async () => {
    const { hub, join } = world();
    await join();
    await join({ nodeId: 'cd'.repeat(65) });
    expect(hub.candidates(MODEL).map((each) => each.providerId)).toEqual(['prov_one', 'prov_one']);
  });
});

describe('a registered session', () => {
  it('lives as long as heartbeats come, and each is acknowledged', async () => {
    const { hub, join, clock } = world();
    const agent = await join();
    await clock.advance(20 * 60_000);
    expect(agent.dials).toBe(1);
    expect(agent.acks.length).toBeGreaterThan(38);
    expect(hub.candidates(MODEL)).toHaveLength(1);
  });

  it('ends when heartbeats stop, though the socket stays open', async () => {
    const { hub, clock, transports } = world();
    const transport = new MemoryTransport();
    hub.attach(transport);
    transports.push(transport);
    transport.arrive(
      JSON.stringify({
        type: 'register',
        request_id: 'r',
        payload: { node_id: NODE, token: 'sk-prov-one', models: [MODEL] },
      }),
    );
    await settlePromises();
    expect(hub.candidates(MODEL)).toHaveLength(1);
    await clock.advance(89_000);
    expect(hub.candidates(MODEL)).toHaveLength(1);
    await clock.advance(3_000);
    expect(hub.candidates(MODEL)).toHaveLength(0);
    expect(transport.closedWith).toBe(1001);
  });

  it('serves no model that a heartbeat does not list, and none when it lists none', async () => {
    const { join, first } = world();
    const agent = await join({ models: [MODEL, SECOND_MODEL] });
    agent.heartbeat({ models: [MODEL] });
    expect([first().eligible, first(SECOND_MODEL).eligible]).toEqual([true, false]);
    agent.heartbeat({ models: undefined });
    expect([first().eligible, first(SECOND_MODEL).eligible]).toEqual([false, false]);
    agent.heartbeat();
    expect([first().eligible, first(SECOND_MODEL).eligible]).toEqual([true, true]);
  });

  it('reports the health of the models it serves and of no others', async () => {
    const { hub, join, first } = world();
    const agent = await join();
    agent.health({ [MODEL]: 'unhealthy', [SECOND_MODEL]: 'healthy', constructor: 'healthy' });
    expect(first().health).toBe('unhealthy');
    expect(hub.candidates(SECOND_MODEL)).toEqual([]);
    agent.health({ [MODEL]: 'splendid' });
    expect(first().health).toBe('unknown');
  });

  it('earns only while its provider is active', async () => {
    const { rooms, join, first } = world();
    rooms.states.set('prov_one', 'pending');
    await join();
    expect(first()).toMatchObject({ eligible: false, ineligibleBecause: 'the provider is pending' });
    rooms.setState('prov_one', 'active');
    expect(first()).toMatchObject({ eligible: true, ineligibleBecause: undefined });
    rooms.setState('prov_one', 'suspended');
    expect(first()).toMatchObject({ eligible: false });
  });

  it('gets no requests while a failure withholds them, and hears until when', async () => {
    const { rooms, join, first, transports } = world();
    const until = Date.UTC(2026, 10, 21);
    await join({ generation: 'B' });
    rooms.withheld.set('prov_one', until);
    rooms.setState('prov_one', 'active');
    expect(first()).toMatchObject({
      eligible: false,
      ineligibleBecause: 'no requests until 2026-11-21T00:00:00.000Z, for a failure that was found',
    });
    await join({ generation: 'B', nodeId: 'another' });
    rooms.withheld.delete('prov_one');
    rooms.setState('prov_one', 'active');
    expect(first()).toMatchObject({ eligible: true, ineligibleBecause: undefined });
    const heard = (index: number) => transports[index]?.messages('notice').map(({ payload }) => payload);
    const withheld = { event: 'traffic_withheld', message: expect.stringContaining('2026-11-21') };
    expect(heard(0)).toMatchObject([withheld, { event: 'activated' }]);
    expect(heard(1)).toMatchObject([withheld, { event: 'activated' }]);
  });

  it('hears by notice why no traffic comes, and when that changes; an agent of generation A knows no notices', async () => {
    const { join, rooms, transports } = world();
    rooms.setState('prov_one', 'pending');
    await join({ generation: 'B', models: [MODEL, 'no/such-model'] });
    await join({ generation: 'A', nodeId: 'old', models: ['no/such-model'] });
    rooms.setState('prov_one', 'active');
    rooms.setState('prov_one', 'suspended');
    const heard = (index: number) => transports[index]?.messages('notice').map(({ payload }) => payload);
    expect(heard(0)).toMatchObject([
      { event: 'traffic_withheld', severity: 'warning' },
      { event: 'register_rejected', details: { 'no/such-model': 'not in the catalogue' } },
      { event: 'activated', severity: 'info' },
      { event: 'suspended', severity: 'critical' },
    ]);
    expect(heard(1)).toEqual([]);
    for (const notice of heard(0) ?? []) expect(noticeSchema.parse(notice)).toEqual(notice);
  });

  it('is told no more than an agent would show, however often its provider changes', async () => {
    const { join, rooms, transports } = world();
    await join({ generation: 'C' });
    for (let i = 0; i < 50; i++) rooms.setState('prov_one', i % 2 === 0 ? 'suspended' : 'active');
    expect(transports[0]?.messages('notice').length).toBeLessThanOrEqual(20);
  });

  it('ends within a second of the revocation of its key, without being cut off', async () => {
    const { hub, rooms, join, ask, clock, transports } = world();
    const agent = await join({ script: () => undefined });
    const sink = ask();
    rooms.revoked.add('key_one');
    expect(hub.endSessionsOfKey('key_one')).toBe(1);
    expect(sink.ending?.outcome).toBe('lost');
    expect(hub.candidates(MODEL)).toHaveLength(0);
    expect(agent.acks.at(-1)).toMatchObject({ success: false });
    await clock.advance(29_000);
    expect(transports[0]?.closedWith).toBeUndefined();
    await clock.advance(40_000);
    expect(transports[0]?.closedWith).toBe(1008);
  });

  it('ends within a second even if nobody announces the revocation', async () => {
    const { hub, rooms, join, clock } = world();
    await join();
    rooms.revoked.add('key_one');
    await clock.advance(1_000);
    expect(hub.candidates(MODEL)).toHaveLength(0);
  });

  it.each([
    ['garbage', (agent: SwanAgent) => agent.raw('{"type":')],
    ['heartbeats', (agent: SwanAgent) => agent.heartbeat()],
    ['registrations', (agent: SwanAgent) => agent.register()],
    ['messages of no use', (agent: SwanAgent) => agent.send('poem', undefined, {})],
    ['binary messages', (agent: SwanAgent) => agent.raw(Buffer.from([1, 2, 3]))],
  ])('that floods us with %s loses its own link and no other', async (_, flood) => {
    const { hub, join, transports } = world();
    await join({ nodeId: 'cd'.repeat(65) });
    const agent = await join();
    const own = transports[1] as MemoryTransport;
    for (let i = 0; i < 300 && own.closedWith === undefined; i++) flood(agent);
    expect(own.closedWith).toBe(1008);
    expect(transports[0]?.closedWith).toBeUndefined();
    expect(hub.counters.floods).toBe(1);
  });

  it('that sends a giant message is closed with 1009', async () => {
    const { join, transports, ask } = world();
    const agent = await join();
    agent.options.script = (served) => served.token('x'.repeat(2_000_000));
    expect(ask().ending?.outcome).toBe('lost');
    expect(transports[0]?.closedWith).toBe(1009);
  });

  it('may answer an unstreamed request at length, even after we gave it up', async () => {
    const { join, transports, hub, first } = world();
    const agent = await join();
    const answer = (served: Served): void => served.result(served.completion('x'.repeat(2_000_000)));
    agent.options.script = answer;
    const sink = new RecordedSink();
    hub.linkOf(first())?.start(testJob({ stream: false }), sink);
    expect(sink.ending?.outcome).toBe('completed');
    // An old agent cannot be told that nobody waits any more: it must not lose its other streams for being slow.
    agent.options.script = () => undefined;
    hub
      .linkOf(first())
      ?.start(testJob({ stream: false }), new RecordedSink())
      .cancel('attempt_timeout');
    answer(agent.inferences.at(-1) as Served);
    expect(transports[0]?.closedWith).toBeUndefined();
    expect(hub.counters.lateFrames).toBe(1);
  });

  it('tolerates messages that we do not act on yet, and acknowledges none of them', async () => {
    const { join, hub } = world();
    const agent = await join();
    agent.send('benchmark_response', 'b', { results: null });
    agent.send('verify', 'v', { success: true });
    agent.send('error', undefined, { code: 501, message: 'streaming is not configured' });
    expect(hub.counters.ignored).toBe(3);
    expect(hub.candidates(MODEL)).toHaveLength(1);
    expect(agent.acks).toHaveLength(1);
  });
});

describe('generations', () => {
  it('declare capacity where they are believed to', async () => {
    const declared = {
      model_declarations: [
        { model_id: MODEL, capacity: [{ type: 'concurrency', unit: 'request', value: 64 }] },
      ],
    };
    for (const [generation, capacity, limit] of [
      ['A', 10, 1_000_000],
      ['B', 10, 1_000_000],
      ['C', 64, 60_000_000],
    ] as const) {
      const { join, first } = world();
      await join({ generation, register: declared });
      expect(first()).toMatchObject({ capacity, linkCapacity: capacity, maxRequestBytes: limit });
    }
  });
});

describe('closing the hub', () => {
  it('lets what is under way finish, takes nothing new, then says goodbye', async () => {
    const { hub, join, ask, clock, first, transports } = world();
    const agent = await join({ script: (served) => served.token('x') });
    const sink = ask();
    const closing = hub.close(5_000);
    expect(first().draining).toBe(true);
    await clock.advance(1_000);
    expect(sink.ending).toBeUndefined();
    agent.inferences[0]?.finish();
    agent.inferences[0]?.end();
    agent.stop();
    await clock.advance(100);
    await closing;
    expect(sink.ending?.outcome).toBe('completed');
    expect(transports.every((each) => each.closedWith !== undefined)).toBe(true);
  });

  it('ends what does not finish in time as lost', async () => {
    const { hub, join, ask, clock } = world();
    const agent = await join({ script: () => undefined });
    const sink = ask();
    const closing = hub.close(1_000);
    await clock.advance(1_200);
    expect(sink.ending?.outcome).toBe('lost');
    agent.stop();
    await closing;
    expect(clock.nextAt()).toBeUndefined();
  });
});
