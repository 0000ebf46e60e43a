import { afterEach, describe, expect, it } from 'vitest';
import type { Job, Link } from '#hub/link.ts';
import { HubServer } from '#hub/server.ts';
import { systemClock } from '#kit/clock.ts';
import { startAgent } from '#support/agent.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { MODEL, testHub, testJob } from '#support/test-hub.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Our own agent with a rehearsed model, connected to our own hub over a real socket. */
async function connected(rehearsal = 'rehearsal:', more: { perModel?: number } = {}) {
  const { hub } = testHub(systemClock);
  const server = await HubServer.open(hub, { clock: systemClock, settings: { port: 0, goodbyeMs: 100 } });
  closers.push(() => server.close());
  const agent = await startAgent(`ws://127.0.0.1:${server.port}`, [`${MODEL}=${rehearsal}`], more);
  closers.push(() => agent.close());
  expect(await agent.registered).toEqual({ models: [MODEL], extension: true });
  const ask = (over: Partial<Job> = {}) => {
    const sink = new RecordedSink();
    const candidate = hub.candidates(MODEL)[0];
    if (!candidate) throw new Error('no candidate');
    const attempt = (hub.linkOf(candidate) as Link).start(testJob(over), sink);
    return { sink, attempt, candidate };
  };
  return { hub, agent, ask };
}

describe('our agent at our hub', () => {
  it('is a candidate with the capacity it declares', async () => {
    const { ask } = await connected('rehearsal:', { perModel: 7 });
    expect(ask().candidate).toMatchObject({ providerId: 'prov_test', eligible: true, capacity: 7 });
  });

  it('streams with exact usage, and breaks no rule of the protocol', async () => {
    const { ask, hub } = await connected('rehearsal:tokens=300');
    const asked = Array.from({ length: 20 }, () => ask());
    for (const { sink } of asked) {
      expect(await sink.ended).toMatchObject({ outcome: 'completed', usage: { outputTokens: 300 } });
      expect(sink.tokens).toBe(300);
      expect(sink.chunks[0]).toMatchObject({ id: 'chatcmpl-test', model: MODEL });
    }
    expect(hub.counters).toMatchObject({ violations: 0, malformed: 0, foreignFrames: 0, internalErrors: 0 });
    expect(hub.registry.inFlight).toBe(0);
  });

  it('answers in one piece when asked to', async () => {
    const { ask } = await connected('rehearsal:tokens=30');
    const { sink } = ask({ stream: false });
    expect(await sink.ended).toMatchObject({ outcome: 'completed', usage: { outputTokens: 30 } });
    expect(JSON.parse((sink.body as Buffer).toString())).toMatchObject({ id: 'chatcmpl-test', model: MODEL });
  });

  it('takes a prompt of 400 kB and gives an event larger than a frame and than its credit', async () => {
    const { ask, hub } = await connected('rehearsal:tokens=3,giant=400000');
    const body = Buffer.from(
      JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'x'.repeat(400_000) }] }),
    );
    const { sink } = ask({ body });
    expect(await sink.ended).toMatchObject({ outcome: 'completed' });
    expect(sink.text.length).toBeGreaterThan(400_000);
    expect(hub.counters.violations).toBe(0);
  });

  it('stops when it is told to, and states what it had made', async () => {
    const { ask } = await connected('rehearsal:endless,paced=2');
    const { sink, attempt } = ask();
    const data = sink.data.bind(sink);
    sink.data = (events, count, tokens) => {
      data(events, count, tokens);
      if (sink.tokens >= 5) attempt.cancel('consumer_disconnected');
    };
    const end = await sink.ended;
    expect(end).toMatchObject({ outcome: 'cancelled' });
    expect(end.usage?.outputTokens).toBeGreaterThanOrEqual(5);
  });

  it('pauses for a consumer that does not read, and goes on when it does', async () => {
    const { ask } = await connected('rehearsal:tokens=4000');
    const { sink, attempt } = ask();
    let waiting = 0;
    const data = sink.data.bind(sink);
    sink.data = (events, count, tokens) => {
      data(events, count, tokens);
      waiting += events.length;
      // Reads only when the whole credit is used up.
      if (waiting > 200_000) {
        const taken = waiting;
        waiting = 0;
        setImmediate(() => attempt.consumed(taken));
      }
    };
    expect(await sink.ended).toMatchObject({ outcome: 'completed' });
    expect(sink.tokens).toBe(4_000);
  });

  it.each([
    ['status=429', 'busy'],
    ['status=400', 'refused'],
    ['status=503', 'failed'],
    ['cut=10', 'failed'],
  ])('that answers with %s is %s', async (words, outcome) => {
    const { ask } = await connected(`rehearsal:${words}`);
    expect((await ask().sink.ended).outcome).toBe(outcome);
    expect((await ask({ stream: false }).sink.ended).outcome).toBe(outcome);
  });

  it('drains when it leaves: what runs is finished', async () => {
    const { ask, agent, hub } = await connected('rehearsal:tokens=40,paced=5');
    const { sink } = ask();
    let leaving: Promise<void> | undefined;
    const data = sink.data.bind(sink);
    sink.data = (events, count, tokens) => {
      data(events, count, tokens);
      leaving ??= agent.drain();
    };
    expect(await sink.ended).toMatchObject({ outcome: 'completed' });
    await leaving;
    expect(hub.registry.inFlight).toBe(0);
  });

  it('sends the whole of an unstreamed answer that ends last, before it hangs up', async () => {
    const { ask, agent } = await connected('rehearsal:tokens=20,paced=10,giant=400000');
    const { sink } = ask({ stream: false });
    await expect.poll(() => agent.state().active).toBe(1);
    const leaving = agent.drain();
    expect(await sink.ended).toMatchObject({ outcome: 'completed' });
    expect((sink.body as Buffer).length).toBeGreaterThan(0);
    await leaving;
  });
});
