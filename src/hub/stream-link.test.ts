import { describe, expect, it } from 'vitest';
import { RecordedSink } from '#support/recorded-sink.ts';
import { StreamAgent } from '#support/stream-agent.ts';
import { MODEL, testHub, testJob } from '#support/test-hub.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { encodeDataFrame, FRAME, type JobHeader } from '#wire/agent/frames.ts';
import type { Job, Link } from './link.ts';
import type { HubSettings } from './settings.ts';

async function world(settings: Partial<HubSettings> = {}) {
  const clock = new VirtualClock();
  const { hub } = testHub(clock, { settings });
  const agent = new StreamAgent(hub);
  agent.register([MODEL]);
  await settlePromises();
  const link = hub.linkOf(hub.candidates(MODEL)[0] as never) as Link;
  const ask = (over: Partial<Job> = {}) => {
    const sink = new RecordedSink();
    const attempt = link.start(testJob(over), sink);
    const job = agent.jobs.at(-1) as { stream: number; header: JobHeader };
    return { sink, attempt, ...job };
  };
  return { clock, hub, agent, ask };
}

const DONE = { status: 200, finish_reason: 'stop', usage: { prompt_tokens: 7, completion_tokens: 3 } };

describe('the binary extension', () => {
  it('is agreed on in the ack, and declared capacity is believed', async () => {
    const { agent, hub } = await world();
    expect(agent.transport.messages('ack')[0]?.payload).toMatchObject({
      success: true,
      extensions: ['cygnet.stream.v1'],
      heartbeat_s: 30,
      registered_models: [MODEL],
    });
    expect(hub.candidates(MODEL)[0]).toMatchObject({ maxRequestBytes: 60_000_000 });
  });

  it('carries a stream: the header, the body as it came, the events as they are, the exact usage', async () => {
    const { agent, ask, hub } = await world();
    const body = Buffer.from('{ "messages": [],  "x": 1e2 }');
    const { sink, stream, header } = ask({ body, set: { max_tokens: 5 } });
    expect(header).toMatchObject({
      model: MODEL,
      completion: 'chatcmpl-test',
      stream: true,
      set: { max_tokens: 5 },
      body_bytes: body.length,
    });
    expect(agent.body(stream)).toBe(body.toString());
    agent.data(stream, agent.event(header, 'one ') + agent.event(header, 'two'), 2);
    agent.end(stream, DONE);
    expect(sink.text).toBe('one two');
    expect(sink.tokens).toBe(2);
    expect(sink.ending).toMatchObject({ outcome: 'completed', usage: { inputTokens: 7, outputTokens: 3 } });
    expect(hub.registry.bufferedBytes).toBe(0);
    expect(hub.candidates(MODEL)[0]?.inFlight).toBe(0);
  });

  it('carries many streams in one message', async () => {
    const { agent, ask } = await world();
    const asked = [ask(), ask(), ask()];
    agent.transport.arrive(
      Buffer.concat(
        asked.map(({ stream, header }, i) =>
          encodeDataFrame(stream, 1, 1, Buffer.from(agent.event(header, `to ${i}`))),
        ),
      ),
    );
    expect(asked.map(({ sink }) => sink.text)).toEqual(['to 0', 'to 1', 'to 2']);
  });

  it('carries an unstreamed answer of any size, as the bytes it came in', async () => {
    const { agent, ask } = await world();
    const { sink, stream, header } = ask({ stream: false });
    const answer = JSON.stringify({
      id: header.completion,
      object: 'chat.completion',
      created: header.created,
      model: MODEL,
      choices: [
        { index: 0, message: { role: 'assistant', content: 'x🦢'.repeat(20_000) }, finish_reason: 'stop' },
      ],
    });
    agent.result(stream, answer);
    agent.end(stream, DONE);
    expect(sink.body?.toString()).toBe(answer);
    expect(sink.ending?.outcome).toBe('completed');
  });

  it.each([
    [{ status: 400 }, 'refused', 'request-refused-by-model'],
    [{ status: 400, code: 'context_length_exceeded' }, 'refused', 'prompt-too-long'],
    [{ status: 413 }, 'refused', 'prompt-too-long'],
    [{ status: 429 }, 'busy', 'providers-busy'],
    [{ status: 502, error: 'host 10.0.0.1' }, 'failed', 'provider-failed'],
    [{ status: 499 }, 'failed', 'provider-failed'],
    [{ status: 200 }, 'failed', 'provider-failed'],
  ])('an end %o before any content is %s', async (end, outcome, errorCode) => {
    for (const stream of [true, false]) {
      const { agent, ask } = await world();
      const asked = ask({ stream });
      agent.end(asked.stream, end);
      expect(asked.sink.ending).toMatchObject({ outcome, errorCode });
      expect(JSON.stringify(asked.sink.ending)).not.toContain('10.0.0.1');
    }
  });

  it('an answer of no words called whole, without a reason why it ended, is no answer and can be tried elsewhere', async () => {
    const { agent, ask } = await world();
    const { sink, stream, header } = ask();
    agent.data(
      stream,
      agent.event(header, '', { choices: [{ index: 0, delta: { role: 'assistant' } }] }),
      1,
      0,
    );
    agent.end(stream, { status: 200 });
    expect(sink.events).toEqual([]);
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
  });

  it('an answer of no words with a reason why it ended is a whole answer', async () => {
    const { agent, ask } = await world();
    const { sink, stream, header } = ask();
    agent.data(
      stream,
      agent.event(header, '', { choices: [{ index: 0, delta: { role: 'assistant' } }] }),
      1,
      0,
    );
    agent.end(stream, DONE);
    expect(sink.events).toHaveLength(1);
    expect(sink.ending?.outcome).toBe('completed');
  });

  it('an error after content is a cut', async () => {
    const { agent, ask } = await world();
    const { sink, stream, header } = ask();
    agent.data(stream, agent.event(header, 'half'));
    agent.end(stream, { status: 400 });
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-cut-off' });
  });

  it('takes an event that is larger than a frame, in pieces, with its credit returned meanwhile', async () => {
    const { agent, ask } = await world({ creditBytes: 20_000, creditStepBytes: 4_000 });
    const { sink, attempt, stream, header } = ask();
    const event = Buffer.from(agent.event(header, 'y'.repeat(60_000)));
    let credit = header.credit;
    let at = 0;
    while (at < event.length) {
      const bytes = Math.min(10_000, credit, event.length - at);
      expect(bytes).toBeGreaterThan(0);
      const last = at + bytes === event.length;
      agent.data(stream, event.subarray(at, at + bytes), last ? 1 : 0, last ? 1 : 0);
      at += bytes;
      credit = header.credit - at + creditOf(agent, stream);
    }
    expect(sink.text).toHaveLength(60_000);
    attempt.consumed(event.length);
    // Every byte that was sent may be sent again, and no more.
    expect(header.credit - event.length + creditOf(agent, stream)).toBeLessThanOrEqual(header.credit);
    agent.end(stream, DONE);
    expect(sink.ending?.outcome).toBe('completed');
  });
});

function creditOf(agent: StreamAgent, stream: number): number {
  return agent.of(FRAME.credit, stream).reduce((sum, each) => sum + each.payload.readUInt32LE(0), 0);
}

describe('credit', () => {
  it('returns as the consumer reads, in coarse steps, stream by stream', async () => {
    const { agent, ask } = await world({ creditBytes: 10_000, creditStepBytes: 4_000 });
    const slow = ask();
    const fast = ask();
    for (const { stream, header } of [slow, fast]) agent.data(stream, agent.event(header, 'x'.repeat(8_000)));
    fast.attempt.consumed(1_000);
    expect(creditOf(agent, fast.stream)).toBe(0);
    fast.attempt.consumed(7_000);
    expect(creditOf(agent, fast.stream)).toBe(8_000);
    expect(creditOf(agent, slow.stream)).toBe(0);
    fast.attempt.consumed(1_000_000);
    expect(creditOf(agent, fast.stream)).toBeLessThan(9_000);
  });

  it('that is overdrawn ends the attempt, and only that one', async () => {
    const { agent, ask, hub } = await world({ creditBytes: 10_000 });
    const greedy = ask();
    const other = ask();
    agent.data(greedy.stream, agent.event(greedy.header, 'x'.repeat(8_000)));
    agent.data(greedy.stream, agent.event(greedy.header, 'x'.repeat(8_000)));
    expect(greedy.sink.ending).toMatchObject({ outcome: 'failed' });
    expect(agent.of(FRAME.cancel, greedy.stream)).toHaveLength(1);
    agent.data(other.stream, agent.event(other.header, 'fine'));
    expect(other.sink.text).toBe('fine');
    expect(hub.counters.violations).toBe(1);
  });
});

describe('a cancel', () => {
  it('leaves at once and is answered by the exact usage', async () => {
    const { agent, ask } = await world();
    const { sink, attempt, stream, header } = ask();
    agent.data(stream, agent.event(header, 'one'));
    attempt.cancel('consumer_disconnected');
    expect(agent.of(FRAME.cancel, stream)).toHaveLength(1);
    expect(sink.ending).toBeUndefined();
    agent.data(stream, agent.event(header, 'two'));
    agent.end(stream, { status: 499, usage: { prompt_tokens: 7, completion_tokens: 2 } });
    expect(sink.text).toBe('one');
    expect(sink.ending).toMatchObject({ outcome: 'cancelled', usage: { inputTokens: 7, outputTokens: 2 } });
    agent.end(stream, DONE);
  });

  it('is over after a second, whether or not it is answered', async () => {
    const { agent, ask, clock, hub } = await world();
    const { sink, attempt, stream } = ask();
    attempt.cancel('consumer_disconnected');
    await clock.advance(999);
    expect(sink.ending).toBeUndefined();
    await clock.advance(1);
    expect(sink.ending).toMatchObject({ outcome: 'cancelled', usage: undefined });
    agent.end(stream, DONE);
    expect(hub.counters.lateFrames).toBe(1);
    expect(hub.counters.foreignFrames).toBe(0);
  });
});

describe('a long prompt', () => {
  it('never stands in front of other jobs, cancels and credits, and takes turns with other prompts', async () => {
    const { agent, ask } = await world();
    agent.transport.bufferedBytes = 70_000;
    const long = ask({ body: Buffer.alloc(400_000, 0x78) });
    const other = ask({ body: Buffer.alloc(40_000, 0x79) });
    const third = ask();
    expect(agent.of(FRAME.body)).toHaveLength(0);
    expect(agent.jobs.map((each) => each.stream)).toEqual([long.stream, other.stream, third.stream]);
    third.attempt.cancel('consumer_disconnected');
    expect(agent.of(FRAME.cancel, third.stream)).toHaveLength(1);
    // A socket that takes three fragments at a time.
    const { transport } = agent;
    const deliver = transport.toAgent;
    transport.toAgent = (data) => {
      deliver(data);
      transport.bufferedBytes += data.length;
    };
    while (agent.body(long.stream).length < 400_000) {
      const before = agent.of(FRAME.body).length;
      transport.drain();
      expect(agent.of(FRAME.body).length - before).toBeLessThanOrEqual(5);
    }
    const order = agent.of(FRAME.body).map((each) => each.stream);
    expect(order.slice(0, 4)).toEqual([long.stream, other.stream, long.stream, other.stream]);
    expect(order).not.toContain(third.stream);
    expect(agent.body(other.stream)).toBe('y'.repeat(40_000));
    expect(Math.max(...agent.of(FRAME.body).map((each) => each.payload.length))).toBeLessThanOrEqual(16_384);
  });
});

describe('a liar', () => {
  it.each([
    ['another id', (agent: StreamAgent, header: JobHeader) => agent.event(header, 'x', { id: 'other' }), 1],
    [
      'another model',
      (agent: StreamAgent, header: JobHeader) => agent.event(header, 'x', { model: 'other' }),
      1,
    ],
    [
      'usage',
      (agent: StreamAgent, header: JobHeader) => agent.event(header, 'x', { usage: { prompt_tokens: 1 } }),
      1,
    ],
    [
      'an end mark',
      (agent: StreamAgent, header: JobHeader) => `${agent.event(header, 'x')}data: [DONE]\n\n`,
      2,
    ],
    ['a wrong count', (agent: StreamAgent, header: JobHeader) => agent.event(header, 'x'), 2],
    ['no JSON', () => 'data: {nonsense}\n\n', 1],
    ['nothing', () => '', 1],
  ])('that sends %s is stopped before the consumer sees it', async (_, events, count) => {
    const { agent, ask, hub } = await world();
    const { sink, stream, header } = ask();
    agent.data(stream, events(agent, header), count);
    expect(sink.events).toEqual([]);
    expect(sink.ending).toMatchObject({ outcome: 'failed' });
    expect(agent.of(FRAME.cancel, stream)).toHaveLength(1);
    expect(hub.counters.violations).toBe(1);
  });

  it('that begins honestly is found out by the sample', async () => {
    const { agent, ask } = await world();
    const { sink, stream, header } = ask();
    for (let i = 0; i < 129 && !sink.ending; i++) {
      agent.data(stream, agent.event(header, 'x', i === 0 ? {} : { model: 'cheaper' }));
    }
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
  });

  it('cannot know which frame is read next', async () => {
    const { agent, ask } = await world();
    const found: number[] = [];
    for (let k = 0; k < 8; k++) {
      const { sink, stream, header } = ask();
      let i = 0;
      for (; i < 129 && !sink.ending; i++) {
        agent.data(stream, agent.event(header, 'x', i === 0 ? {} : { model: 'cheaper' }));
      }
      found.push(i);
    }
    expect(new Set(found).size).toBeGreaterThan(4);
  });

  it('that pads its events is credited with what the model wrote, and no more', async () => {
    const { agent, ask } = await world();
    const { sink, stream, header } = ask();
    const honest = ask();
    for (const word of ['The ', 'quick ', 'brown ', 'fox']) {
      agent.data(honest.stream, agent.event(honest.header, word));
      agent.data(stream, agent.event(header, word, { padding: 'x'.repeat(3_000) }));
      agent.data(stream, agent.event(header, '', { padding: 'x'.repeat(3_000) }), 1, 1_000);
    }
    expect(sink.contentBytes).toBe(19);
    // The odd token that is longer than most is measured; what is not measured may seem a little longer than it is.
    expect(honest.sink.contentBytes).toBeGreaterThanOrEqual(19);
    expect(honest.sink.contentBytes).toBeLessThan(19 + 4 * 16);
  });

  it('whose first events were long does not make later ones seem empty', async () => {
    const { agent, ask } = await world();
    const first = ask();
    agent.data(first.stream, agent.event(first.header, 'x', { logprobs: 'y'.repeat(500) }));
    const second = ask();
    agent.data(second.stream, agent.event(second.header, 'some text'));
    expect(second.sink.contentBytes).toBe(9);
  });

  it.each([
    ['an answer for a stream', true, (agent: StreamAgent, stream: number) => agent.result(stream, '{}')],
    [
      'events for an unstreamed answer',
      false,
      (agent: StreamAgent, stream: number, header: JobHeader) => agent.data(stream, agent.event(header, 'x')),
    ],
    [
      'an end that is no JSON',
      true,
      (agent: StreamAgent, stream: number) => agent.frame(FRAME.end, stream, Buffer.from('{')),
    ],
    [
      'an end within an event',
      true,
      (agent: StreamAgent, stream: number) => {
        agent.data(stream, 'data: {"x', 0, 0);
        agent.end(stream, DONE);
      },
    ],
    [
      'an answer that is no completion',
      false,
      (agent: StreamAgent, stream: number) => {
        agent.result(stream, '{"choices":[]}');
        agent.end(stream, DONE);
      },
    ],
  ])('that sends %s fails', async (_, stream, act) => {
    const { agent, ask } = await world();
    const asked = ask({ stream });
    act(agent, asked.stream, asked.header);
    expect(asked.sink.ending).toMatchObject({ outcome: 'failed' });
    expect(asked.sink.body).toBeUndefined();
  });

  it('that sends frames of no stream is counted; one that sends no frames at all is closed', async () => {
    const { agent, hub } = await world();
    agent.data(77, 'data: {}\n\n');
    agent.frame(0x99, 1);
    expect(hub.counters.foreignFrames).toBe(2);
    expect(agent.transport.closedWith).toBeUndefined();
    agent.transport.arrive(Buffer.from([0x11, 0, 0]));
    expect(agent.transport.closedWith).toBe(1002);
    expect(hub.candidates(MODEL)).toEqual([]);
  });
});

describe('an agent that drains', () => {
  it('gets no new jobs and finishes those it has', async () => {
    const { agent, ask, hub } = await world();
    const { sink, stream, header } = ask();
    agent.frame(FRAME.drain, 0);
    expect(hub.candidates(MODEL)[0]?.draining).toBe(true);
    agent.data(stream, agent.event(header, 'still here'));
    agent.end(stream, DONE);
    expect(sink.ending?.outcome).toBe('completed');
  });

  it('and then goes: what was left ends as lost', async () => {
    const { agent, ask, hub } = await world();
    const { sink } = ask();
    agent.transport.cut();
    expect(sink.ending).toMatchObject({ outcome: 'lost' });
    expect(hub.candidates(MODEL)).toEqual([]);
  });
});
