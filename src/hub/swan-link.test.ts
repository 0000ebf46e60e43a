import { describe, expect, it } from 'vitest';
import { MemoryTransport } from '#support/memory-transport.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import {
  answerPlainly,
  dialMemory,
  HOSTILE,
  type Script,
  type Served,
  SwanAgent,
} from '#support/swan-agent.ts';
import { MODEL, SLUG, testHub, testJob } from '#support/test-hub.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import type { Job, Link } from './link.ts';
import type { HubSettings } from './settings.ts';

const NODE = 'ab'.repeat(65);

async function servedBy(
  script: Script,
  options: { generation?: 'A' | 'B' | 'C'; models?: string[]; settings?: Partial<HubSettings> } = {},
) {
  const clock = new VirtualClock();
  const { hub, rooms } = testHub(clock, options.settings ? { settings: options.settings } : {});
  const transports: MemoryTransport[] = [];
  const agent = new SwanAgent({
    generation: options.generation ?? 'A',
    token: 'sk-prov-one',
    nodeId: NODE,
    models: options.models ?? [MODEL],
    clock,
    script,
    dial: dialMemory((transport) => {
      transports.push(transport);
      hub.attach(transport);
    }),
  });
  await agent.start();
  await settlePromises();
  const candidate = () => {
    const found = hub.candidates(MODEL)[0];
    if (!found) throw new Error('no candidate');
    return found;
  };
  const link = (): Link => hub.linkOf(candidate()) as Link;
  const ask = (over: Partial<Job> = {}) => {
    const sink = new RecordedSink();
    const attempt = link().start(testJob(over), sink);
    return { sink, attempt };
  };
  return { clock, hub, rooms, agent, transports, candidate, link, ask };
}

const nothing: Script = () => undefined;

describe('a stream of the Swan protocol', () => {
  it('reaches the consumer under our names, without usage, and ends once', async () => {
    const { ask, candidate, hub } = await servedBy(answerPlainly);
    const { sink } = ask();
    expect(sink.text).toBe('one two three');
    expect(sink.tokens).toBe(3);
    for (const chunk of sink.chunks) {
      expect(chunk).toMatchObject({
        id: 'chatcmpl-test',
        model: MODEL,
        object: 'chat.completion.chunk',
        created: 1_763_600_000,
      });
      expect(chunk).not.toHaveProperty('usage');
      expect(chunk.choices.length).toBeGreaterThan(0);
    }
    expect(sink.ending).toMatchObject({ outcome: 'completed', usage: { inputTokens: 7, outputTokens: 3 } });
    expect(candidate().inFlight).toBe(0);
    expect(hub.registry.bufferedBytes).toBe(0);
  });

  it('keeps every character: markup, emoji, quotes, line breaks', async () => {
    const text = '<&> "quoted" \\ back 🦢\n\nnew\tline \u2028 end';
    const { ask } = await servedBy((served) => {
      for (const part of ['plain', text, '', text, '🦢'.repeat(50)]) served.token(part);
      served.finish();
      served.end();
    });
    const { sink } = ask();
    expect(sink.text).toBe(`plain${text}${text}${'🦢'.repeat(50)}`);
    expect(sink.ending?.outcome).toBe('completed');
  });

  it('is complete without the end mark when a finish reason came, and with the mark when none did', async () => {
    const endings: Script[] = [
      (served) => {
        served.token('x');
        served.finish();
        served.end();
      },
      (served) => {
        served.token('x');
        served.done();
        served.end();
      },
    ];
    for (const script of endings) {
      const { ask } = await servedBy(script);
      expect(ask().sink.ending?.outcome).toBe('completed');
    }
  });

  it('is not complete when it just stops: neither a finish reason nor the end mark', async () => {
    const { ask } = await servedBy((served) => {
      served.token('half an ans');
      served.end();
    });
    expect(ask().sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-cut-off' });
  });

  it('is not complete at its end mark alone', async () => {
    const { ask } = await servedBy((served) => {
      served.token('x');
      served.finish();
      served.done();
    });
    expect(ask().sink.ending).toBeUndefined();
  });

  it('shows nothing before the first token, so that another provider may still answer', async () => {
    const { ask } = await servedBy((served) => {
      served.role();
      served.end({ status_code: 502, error: 'model server returned HTTP 502: host 10.0.0.1 down' });
    });
    const { sink } = ask();
    expect(sink.events).toEqual([]);
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
    expect(JSON.stringify(sink.ending)).not.toContain('10.0.0.1');
  });

  it('passes on an answer that is empty but finished', async () => {
    const { ask } = await servedBy((served) => {
      served.role();
      served.finish();
      served.done();
      served.end();
    });
    const { sink } = ask();
    expect(sink.events).toHaveLength(2);
    expect(sink.ending?.outcome).toBe('completed');
  });

  it('fails when the backend reports an error in place of a chunk, even if the agent calls it a success', async () => {
    for (const trouble of [
      { error: { message: 'CUDA out of memory at /srv/x' } },
      { object: 'error', message: 'boom' },
    ]) {
      const { ask } = await servedBy((served) => {
        served.token('x');
        served.chunk(trouble);
        served.done();
        served.end();
      });
      const { sink } = ask();
      expect(sink.ending?.outcome).toBe('failed');
      expect(JSON.stringify([sink.events, sink.ending])).not.toContain('CUDA');
    }
  });

  it("waits for the status behind generation C's error chunk", async () => {
    const { ask } = await servedBy(
      (served) => {
        served.chunk(null, {
          done: true,
          error: 'model server returned HTTP 400: maximum context length is 8192',
        });
        served.end({
          status_code: 400,
          error: 'model server returned HTTP 400: maximum context length is 8192',
        });
      },
      { generation: 'C' },
    );
    expect(ask().sink.ending).toMatchObject({ outcome: 'refused', errorCode: 'prompt-too-long' });
  });

  it('takes the lower of two statements about usage, and none that makes no sense', async () => {
    const both = await servedBy((served) => {
      served.token('x');
      served.usage(100, 90);
      served.finish();
      served.end({ tokens_input: 7, tokens_output: 500 });
    });
    expect(both.ask().sink.ending?.usage).toEqual({ inputTokens: 7, outputTokens: 90 });
    for (const bad of [-1, 1.5, 1e308, '7', null, Number.MAX_SAFE_INTEGER + 1]) {
      const { ask } = await servedBy((served) => {
        served.token('x');
        served.finish();
        served.end({ tokens_input: bad, tokens_output: 3 });
      });
      const usage = ask().sink.ending?.usage;
      expect(bad === null ? usage?.inputTokens : usage).toBe(bad === null ? 0 : undefined);
    }
  });

  it('uses what was learnt of its messages, and reads in full what looks different', async () => {
    const { ask, hub } = await servedBy((served) => {
      for (let i = 0; i < 20; i++) served.token(`word${i} `);
      served.token('odd', { system_fingerprint: 'fp_1' });
      served.token('end');
      served.finish();
      served.end();
    });
    const { sink } = ask();
    expect(sink.text).toBe(`${Array.from({ length: 20 }, (_, i) => `word${i} `).join('')}oddend`);
    expect(hub.counters.chunksByTemplate).toBeGreaterThanOrEqual(19);
    expect(sink.chunks.at(-3)).toMatchObject({ system_fingerprint: 'fp_1' });
  });
});

describe('an unstreamed answer', () => {
  it('carries our names and the usage as stated', async () => {
    const { ask } = await servedBy(answerPlainly);
    const { sink } = ask({ stream: false });
    const body = JSON.parse((sink.body as Buffer).toString());
    expect(body).toMatchObject({
      id: 'chatcmpl-test',
      model: MODEL,
      created: 1_763_600_000,
      usage: { prompt_tokens: 7 },
    });
    expect(body.choices[0].message.content).toBe('one two three');
    expect(sink.ending).toMatchObject({ outcome: 'completed', usage: { inputTokens: 7, outputTokens: 3 } });
  });

  it.each([
    [400, 'refused', 'request-refused-by-model'],
    [422, 'refused', 'request-refused-by-model'],
    [413, 'refused', 'prompt-too-long'],
    [401, 'failed', 'provider-failed'],
    [403, 'failed', 'provider-failed'],
    [404, 'failed', 'provider-failed'],
    [429, 'busy', 'providers-busy'],
    [500, 'failed', 'provider-failed'],
    [502, 'failed', 'provider-failed'],
    [503, 'failed', 'provider-failed'],
    [504, 'failed', 'provider-too-slow'],
    [0, 'failed', 'provider-failed'],
    [undefined, 'failed', 'provider-failed'],
    [-7, 'failed', 'provider-failed'],
    [1e9, 'failed', 'provider-failed'],
    ['400', 'failed', 'provider-failed'],
  ])('with status %s ends as %s', async (status, outcome, errorCode) => {
    const { ask } = await servedBy((served) => served.result(null, { error: 'x', status_code: status }));
    expect(ask({ stream: false }).sink.ending).toMatchObject({ outcome, errorCode });
  });

  it('fails when it is null, an error, no completion, or a list of nothing', async () => {
    const answers: ((served: Served) => void)[] = [
      (served) => served.result(null),
      (served) => served.result({ error: { message: 'x', code: 9_000 } }),
      (served) => served.result({ hello: 1 }),
      (served) => served.result({ choices: [] }),
      (served) => served.result({ choices: [{ text: 'a completion of another kind' }] }),
      (served) => served.result('choices'),
      (served) => served.token('a chunk'),
      (served) => served.end(),
    ];
    for (const answer of answers) {
      const { ask } = await servedBy(answer);
      const { sink } = ask({ stream: false });
      expect(sink.ending?.outcome).toBe('failed');
      expect(sink.body).toBeUndefined();
    }
  });

  it('takes a model out of rotation that the agent says it does not have, until the agent lists it again', async () => {
    const { ask, candidate, agent } = await servedBy((served) =>
      served.result(null, { error: 'model not deployed', status_code: 404 }),
    );
    ask({ stream: false });
    expect(candidate()).toMatchObject({ eligible: false });
    agent.heartbeat();
    expect(candidate()).toMatchObject({ eligible: true });
  });

  it('is asked again of nobody when the agent could not read our message', async () => {
    const { ask } = await servedBy((served) =>
      served.agent.send('error', served.id, { request_id: served.id, code: 400, message: 'cannot decode' }),
    );
    expect(ask({ stream: false }).sink.ending).toMatchObject({ outcome: 'failed' });
  });
});

describe('what the agent is sent', () => {
  it("is the consumer's body, byte for byte, inside the envelope", async () => {
    const { ask, hub, agent } = await servedBy(nothing);
    const body = Buffer.from(
      `{ "messages" : [{"role":"user","content":"\\u00e4 <&> 🦢"}], "x":1e2,"model":"${MODEL}","stream":true}`,
    );
    const raw: string[] = [];
    const found = [...hub.registry.present()][0];
    expect(found).toBeDefined();
    agent.options.script = (served) => raw.push(JSON.stringify(served.request));
    ask({ body });
    expect(raw[0]).toBe(JSON.stringify(JSON.parse(body.toString())));
    expect(agent.inferences[0]).toMatchObject({
      stream: true,
      operation: 'chat/completions',
      modelId: MODEL,
    });
  });

  it('never contradicts itself about streaming', async () => {
    const { ask, agent } = await servedBy(nothing);
    ask({ stream: false, body: Buffer.from('{"model":"m","messages":[],"stream" : true}') });
    ask({ stream: false, body: Buffer.from('{"model":"m","messages":["\\"stream\\":true"]}') });
    expect(agent.inferences.map((each) => each.request['stream'])).toEqual([false, undefined]);
  });

  it('holds the fields that must be set, whether or not the body names them', async () => {
    const { ask, agent } = await servedBy(nothing);
    ask({ body: Buffer.from('{"model":"glm","messages":[]}'), set: { model: MODEL, max_tokens: 5 } });
    ask({ body: Buffer.from('{"model":"m","messages":[]} '), set: { max_tokens: 5 } });
    expect(agent.inferences.map((each) => each.request)).toEqual([
      { model: MODEL, messages: [], max_tokens: 5 },
      { model: 'm', messages: [], max_tokens: 5 },
    ]);
  });

  it('names the model as the agent does', async () => {
    const { ask, agent } = await servedBy(answerPlainly, { models: [SLUG] });
    expect(agent.lastAck).toMatchObject({ registered_models: [SLUG] });
    const { sink } = ask();
    expect(agent.inferences[0]).toMatchObject({ modelId: SLUG, request: { model: SLUG } });
    expect(sink.chunks[0]?.model).toBe(MODEL);
  });

  it.each([
    ['A', 900_000, false],
    ['A', 1_100_000, true],
    ['B', 1_100_000, true],
    ['C', 1_100_000, false],
  ] as const)('never is more than generation %s can read: %i bytes', async (generation, bytes, refused) => {
    const { ask, agent, clock, candidate } = await servedBy(nothing, { generation });
    const { sink } = ask({ body: Buffer.from(`{"model":"m","messages":["${'x'.repeat(bytes)}"]}`) });
    await clock.advance(0);
    expect(agent.overlong).toBe(0);
    expect(agent.inferences).toHaveLength(refused ? 0 : 1);
    expect(sink.ending?.errorCode).toBe(refused ? 'prompt-too-large-for-providers' : undefined);
    expect(candidate().inFlight).toBe(refused ? 0 : 1);
  });

  it('is never a body that is not UTF-8, which would cost the agent its connection', async () => {
    const { ask, agent, clock } = await servedBy(nothing);
    const { sink } = ask({ body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) });
    await clock.advance(0);
    expect(sink.ending?.outcome).toBe('refused');
    expect(agent.inferences).toHaveLength(0);
  });
});

describe('a cancel', () => {
  it.each(['A', 'B', 'C'] as const)(
    'ends the attempt at once for generation %s, and nothing of it counts afterwards',
    async (generation) => {
      const { ask, agent, transports, hub, candidate } = await servedBy((served) => served.token('one'), {
        generation,
      });
      const { sink, attempt } = ask();
      const served = agent.inferences[0] as Served;
      served.token('two');
      attempt.cancel('consumer_disconnected');
      attempt.cancel('consumer_disconnected');
      expect(sink.ending).toMatchObject({ outcome: 'cancelled' });
      expect(served.cancelled).toBe(generation === 'C');
      const sent = {
        request_id: served.id,
        payload: { request_id: served.id, reason: 'consumer_disconnected' },
      };
      expect(transports[0]?.messages('cancel')).toMatchObject(generation === 'C' ? [sent] : []);
      expect(agent.unknownTypes).toEqual([]);
      expect(candidate().inFlight).toBe(0);
      served.token('three');
      served.end();
      expect(sink.text).toBe('onetwo');
      expect(hub.counters.lateFrames).toBe(generation === 'C' ? 0 : 2);
      expect(hub.counters.foreignFrames).toBe(0);
    },
  );

  it('comes by itself for a consumer that does not read, and for nobody else', async () => {
    const flood: Script = (served) => {
      for (let i = 0; i < 300; i++) served.token('x'.repeat(1_000));
    };
    const { ask, agent, hub } = await servedBy(flood, { settings: { streamBufferBytesMax: 50_000 } });
    const slow = ask();
    expect(slow.sink.ending).toMatchObject({ outcome: 'cancelled', inner: 'consumer too slow' });
    expect(Buffer.byteLength(slow.sink.events.join(''))).toBeLessThan(60_000);
    expect(hub.counters.slowConsumers).toBe(1);
    agent.options.script = nothing;
    const reading = ask();
    const served = agent.inferences.at(-1) as Served;
    for (let i = 0; i < 300; i++) {
      served.token('y'.repeat(1_000));
      reading.attempt.consumed(1_500);
    }
    served.finish();
    served.end();
    const { sink } = reading;
    expect(sink.ending?.outcome).toBe('completed');
    expect(hub.registry.bufferedBytes).toBe(0);
  });
});

describe('a hostile agent', () => {
  it.each(Object.keys(HOSTILE))('%s: harms nobody, and its plain answer still arrives', async (name) => {
    const { ask, hub, link } = await servedBy(HOSTILE[name] as Script);
    const before = link();
    const { sink } = ask();
    expect(sink.text).toContain('one two three');
    expect(sink.ending?.outcome).toBe('completed');
    for (const event of sink.events) {
      expect(event).toMatch(/^data: \{"id":"chatcmpl-test"[^\r\n]*\}$/);
      expect(event).not.toContain('[DONE]"');
    }
    expect(hub.counters.internalErrors).toBe(0);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(link()).toBe(before);
  });

  it('cannot answer for another link, whether it guesses an id or knows it', async () => {
    const { ask, hub, clock } = await servedBy(nothing);
    const { sink } = ask({ attemptId: 'att_known' });
    const thief = new SwanAgent({
      generation: 'C',
      token: 'sk-prov-two',
      nodeId: 'cd'.repeat(65),
      models: [MODEL],
      clock,
      dial: dialMemory((transport) => hub.attach(transport)),
    });
    await thief.start();
    await settlePromises();
    thief.send('stream_chunk', 'att_known', {
      request_id: 'att_known',
      chunk: { choices: [{ delta: { content: 'forged' } }] },
    });
    thief.send('stream_end', 'att_known', { request_id: 'att_known' });
    thief.send('ack', 'att_known', { request_id: 'att_known', response: { choices: [] } });
    thief.send('error', 'att_known', { request_id: 'att_known', code: 400, message: 'x' });
    expect(sink.events).toEqual([]);
    expect(sink.ending).toBeUndefined();
    expect(hub.counters.foreignFrames).toBe(3);
  });

  it('that answers everything twice or out of order changes nothing', async () => {
    const { ask, agent } = await servedBy((served) => {
      served.done();
      served.token('after the mark');
      served.done();
      served.end();
    });
    expect(ask().sink.ending).toMatchObject({ outcome: 'failed' });
    agent.options.script = (served) => {
      served.token('a');
      served.result(served.completion('whole'));
      served.token('b');
    };
    const { sink } = ask();
    expect(sink.text).toBe('a');
    expect(sink.ending).toMatchObject({ outcome: 'failed' });
  });
});

describe('a lost link', () => {
  it('ends every attempt at once, and late chunks on the new link are dropped without blame', async () => {
    const { ask, agent, hub, clock } = await servedBy((served) => served.token('one'));
    const asked = [ask(), ask(), ask({ stream: false })];
    const old = agent.inferences[0] as Served;
    agent.reconnect();
    expect(asked.map(({ sink }) => sink.ending?.outcome)).toEqual(['lost', 'lost', 'failed']);
    expect(hub.candidates(MODEL)).toHaveLength(0);
    // On the new socket before it has registered, and after.
    await settlePromises();
    old.token('late');
    await clock.advance(10);
    old.token('later');
    old.end();
    expect(asked[0]?.sink.text).toBe('one');
    expect(hub.counters.foreignFrames + hub.counters.beforeRegister).toBe(3);
    expect(hub.candidates(MODEL)).toHaveLength(1);
    expect(hub.counters.floods).toBe(0);
  });
});
