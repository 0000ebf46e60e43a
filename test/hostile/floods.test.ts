import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { answerPlainly, HOSTILE, type Script, type Served, type SwanAgent } from '#support/swan-agent.ts';

/** Reliability, failures 4 and 17 and the rows on chunks, JSON, events and identity: what a link may do to others is nothing. */

let house: HostileMarket;
let agent: SwanAgent;
let script: Script = answerPlainly;

beforeAll(async () => {
  house = await openHostileMarket({ providers: 2 });
  agent = await house.swan(0, { generation: 'C', script: (served) => script(served) });
});
afterAll(() => house.close());

const ask = (over: Record<string, unknown> = {}, onEvent?: Parameters<typeof chat>[0]['onEvent']) =>
  chat({
    baseUrl: house.baseUrl,
    key: house.consumers[0]?.key ?? '',
    body: streamBody(PLAIN_MODEL, over),
    ...(onEvent && { onEvent }),
  });

describe('what the client reads', () => {
  const OUT_OF_ORDER: Record<string, Script> = {
    'the end before the content': (served) => (served.end(), answerPlainly(served)),
    'the end mark before the content': (served) => (served.done(), answerPlainly(served)),
    'content after the finish': (served) => {
      served.token('whole');
      served.finish();
      served.token(' and more');
      served.done();
      served.end();
    },
    'two ends that contradict each other': (served) => (
      answerPlainly(served), served.end({ status_code: 500, error: 'x' })
    ),
    'an end mark without an end, then an end': (served) => (
      served.token('x'), served.done(), served.done(), served.end()
    ),
    'everything twice': (served) => (answerPlainly(served), answerPlainly(served)),
  };
  it.each(Object.entries({ ...HOSTILE, ...OUT_OF_ORDER }))(
    'with %s is well-formed events of one answer and at most one end',
    async (_, how) => {
      script = how;
      const answer = await ask();
      await house.idle();
      // Either nothing of it was shown, or what was shown is in order.
      expect([200, 502]).toContain(answer.status);
      if (answer.status === 502) return;
      // Every block is one line of data; what a provider wrote begins no line of its own.
      const blocks = answer.body.split('\n\n');
      expect(blocks.pop()).toBe('');
      for (const block of blocks)
        expect(block).toMatch(/^(?:event: error\n)?data: (?:\{[^\n\r]*\}|\[DONE\])$/);
      expect(answer.body.match(/^data: \[DONE\]$/gm) ?? []).toHaveLength(answer.ending === 'done' ? 1 : 0);
      const chunks = answer.events.filter((each) => !each['error']);
      expect(new Set(chunks.map((each) => each['id'])).size).toBe(1);
      expect(chunks.every((each) => each['model'] === PLAIN_MODEL && !each['usage'])).toBe(true);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
  );
});

describe('a flood', () => {
  it('of a hundred thousand tiny chunks on one stream is bounded, and the others of the node go on', async () => {
    let flooding: Served | undefined;
    script = (served) => {
      if (JSON.stringify(served.request).includes('FLOOD')) {
        flooding = served;
        for (let i = 0; i < 100_000; i++) served.token('x');
        return;
      }
      answerPlainly(served);
    };
    const flood = ask({ messages: [{ role: 'user', content: 'FLOOD' }], max_tokens: 50 });
    const others = await Promise.all(Array.from({ length: 9 }, () => ask()));
    expect(others.every((each) => each.ending === 'done' && each.text === 'one two three')).toBe(true);
    const answer = await flood;
    expect(answer.ending).toBe('error');
    expect(answer.events.length).toBeLessThanOrEqual(2 * 50 + 64 + 1);
    expect(flooding?.cancelled).toBe(true);
    await house.idle();
  });

  it('a consumer who does not read stalls nobody else of the node, and is let go of', async () => {
    script = (served) => {
      if (!JSON.stringify(served.request).includes('SLOW')) return answerPlainly(served);
      const more = (): void => {
        for (let i = 0; i < 20; i++) served.token('x'.repeat(4_000));
        if (!served.cancelled) setImmediate(more);
      };
      more();
    };
    let resume: () => void = () => {};
    const slow = ask({ messages: [{ role: 'user', content: 'SLOW' }] }, (count, connection) => {
      if (count === 1) connection.pause();
      resume = () => connection.resume();
    });
    const served = () => agent.inferences.find((each) => JSON.stringify(each.request).includes('SLOW'));
    while (!served()?.cancelled) {
      expect(await ask()).toMatchObject({ ending: 'done', text: 'one two three' });
    }
    resume();
    expect((await slow).ending).not.toBe('done');
    expect(agent.connected).toBe(true);
    await house.idle();
    expect(house.market.hub.registry.bufferedBytes).toBe(0);
  });

  it('a prompt of 400 kB stalls nobody else of the node', async () => {
    script = answerPlainly;
    const big = {
      messages: Array.from({ length: 5 }, () => ({ role: 'user', content: 'x'.repeat(80_000) })),
    };
    const answers = await Promise.all([
      ...Array.from({ length: 4 }, () => ask({ ...big, max_tokens: 8 })),
      ...Array.from({ length: 5 }, () => ask()),
    ]);
    expect(answers.map((each) => [each.ending, each.text])).toEqual(
      Array.from({ length: 9 }, () => ['done', 'one two three']),
    );
    await house.idle();
  });

  it('of one giant message costs its sender the link and nobody else anything', async () => {
    script = (served) => served.token('x'.repeat(3_000_000));
    const other = await house.swan(1, { script: answerPlainly });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask()));
    // Whoever met the giant was served by the other provider.
    expect(answers.every((each) => each.ending === 'done')).toBe(true);
    other.stop();
    while (house.market.hub.registry.presenceOf(other.options.nodeId))
      await new Promise((resolve) => setImmediate(resolve));
    await agent.until(() => agent.registered);
    await house.idle();
  });
});

describe('a stranger at the hub', () => {
  interface Heard {
    type: string;
    payload: { success?: boolean; code?: number; message?: string };
  }
  /** Says these things on a connection of its own and hears until `enough`. */
  async function stranger(said: unknown[], enough: (heard: Heard[]) => boolean): Promise<Heard[]> {
    const ws = new WebSocket(house.hubUrl);
    const heard: Heard[] = [];
    await new Promise<void>((resolve) => ws.on('open', () => resolve()));
    for (const each of said) ws.send(typeof each === 'string' ? each : JSON.stringify(each));
    await new Promise<void>((resolve) => {
      ws.on('close', () => resolve());
      ws.on('message', (data) => {
        heard.push(JSON.parse((data as Buffer).toString()));
        if (enough(heard)) resolve();
      });
    });
    ws.terminate();
    return heard;
  }
  const register = (token: string, nodeId: string) => ({
    type: 'register',
    request_id: 'r',
    payload: { node_id: nodeId, token, models: [PLAIN_MODEL], capabilities: ['inference', 'verification'] },
  });
  const refused = (heard: Heard[]): boolean => heard.some((each) => each.payload.success === false);

  it.each([
    ['with a consumer’s key', () => house.consumers[0]?.key ?? '', 403],
    ['with no key', () => '', 401],
    ['with a key that nobody has', () => `sk-prov-${'0'.repeat(48)}`, 401],
  ])('%s registers nothing, and is told why', async (_, key, code) => {
    const before = house.market.hub.candidates(PLAIN_MODEL).length;
    const heard = await stranger([register(key(), 'stranger')], refused);
    expect(heard.map((each) => each.type)).toEqual(['error', 'ack']);
    expect(heard[0]?.payload.code).toBe(code);
    expect(house.market.hub.candidates(PLAIN_MODEL)).toHaveLength(before);
  });

  it('with another provider’s key cannot take over a node, and the node serves on', async () => {
    const { nodeId } = agent.options;
    const heard = await stranger([register(house.providers[1]?.key ?? '', nodeId)], refused);
    expect(heard[0]?.payload).toMatchObject({ code: 403 });
    script = answerPlainly;
    expect(await ask()).toMatchObject({ ending: 'done' });
    expect(agent.connected).toBe(true);
  });

  it('that speaks before it registers is not heard: chunks, results, heartbeats, health', async () => {
    const { counters } = house.market.hub;
    const before = { ...counters };
    const began = new Promise<Served>((resolve) => {
      script = (each) => {
        each.token('mine ');
        resolve(each);
      };
    });
    const asked = ask();
    const served = await began;
    const { id } = served;
    const heard = await stranger(
      [
        {
          type: 'stream_chunk',
          request_id: id,
          payload: { request_id: id, chunk: { choices: [{ delta: { content: 'STOLEN' } }] } },
        },
        { type: 'stream_end', request_id: id, payload: { request_id: id, status_code: 500 } },
        { type: 'ack', request_id: id, payload: { request_id: id, response: { choices: [] } } },
        { type: 'heartbeat', request_id: 'h', payload: { models: [PLAIN_MODEL] } },
        { type: 'model_health_update', payload: { model_health: { [PLAIN_MODEL]: 'unhealthy' } } },
        register('', 'stranger'),
      ],
      refused,
    );
    expect(heard.filter((each) => each.payload.success === true)).toEqual([]);
    expect(counters.beforeRegister - before.beforeRegister).toBe(5);
    served.token('alone');
    served.finish();
    served.done();
    served.end();
    expect(await asked).toMatchObject({ ending: 'done', text: 'mine alone' });
  });
});
