import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { answerPlainly, type Script, type Served, type SwanAgent } from '#support/swan-agent.ts';

/** What may be asked for, what may come back, and that no money stays promised whatever happens. */

const FREE_MODEL = 'test/free';
let house: HostileMarket;
let agent: SwanAgent;
let script: Script = answerPlainly;

beforeAll(async () => {
  house = await openHostileMarket({
    providers: 1,
    models: [{ id: FREE_MODEL, inputPico: 0n, outputPico: 0n }],
  });
  agent = await house.swan(0, { models: [PLAIN_MODEL, FREE_MODEL], script: (served) => script(served) });
});
afterAll(() => house.close());

const ask = (over: Record<string, unknown> = {}, model = PLAIN_MODEL) =>
  chat({ baseUrl: house.baseUrl, key: house.consumers[0]?.key ?? '', body: streamBody(model, over) });
const last = (): Served => agent.inferences.at(-1) as Served;

describe('the limits of a request', () => {
  it.each([
    ['none', {}, { max_tokens: 4_096, max_completion_tokens: undefined }],
    ['max_tokens', { max_tokens: 7 }, { max_tokens: 7, max_completion_tokens: undefined }],
    ['max_completion_tokens', { max_completion_tokens: 7 }, { max_tokens: 7, max_completion_tokens: 7 }],
    ['both', { max_tokens: 7, max_completion_tokens: 7 }, { max_tokens: 7, max_completion_tokens: 7 }],
  ])('named as %s reach the provider in every spelling that it may obey', async (_, limits, reach) => {
    script = answerPlainly;
    expect(await ask(limits)).toMatchObject({ ending: 'done' });
    const { max_tokens, max_completion_tokens } = last().request;
    expect({ max_tokens, max_completion_tokens }).toEqual(reach);
  });

  it('an answer that never ends is stopped at what its limits can make, free of charge', async () => {
    let sent = 0;
    script = (served) => {
      const more = (): void => {
        for (let i = 0; i < 50; i++, sent++) served.token('and on ');
        if (agent.connected && served.id === last().id && sent < 20_000) setImmediate(more);
      };
      more();
    };
    const answer = await ask({ max_tokens: 100 });
    sent = 20_000;
    expect(answer).toMatchObject({ ending: 'error', error: { code: 'provider_cut_off' } });
    expect(answer.events.length).toBeLessThanOrEqual(2 * 100 + 64 + 1);
    expect((await house.usage()).at(-1)).toMatchObject({ outcome: 'broken', charge: 0n });
    await house.idle();
  });

  it('a giant text in few events is stopped as well', async () => {
    script = (served) => {
      for (let i = 0; i < 8; i++) served.token('x'.repeat(400_000));
    };
    const answer = await ask({ max_tokens: 4 });
    expect(answer.status === 200 ? answer.ending : 'error').toBe('error');
    expect(answer.body.length).toBeLessThan(1_048_576 + 4 * 4_096 + 500_000);
    await house.idle();
  });
});

describe('an answer that says nothing', () => {
  it.each<[string, boolean, Script]>([
    [
      'streamed',
      true,
      (served) => (served.role(), served.finish(), served.usage(50, 0), served.done(), served.end()),
    ],
    [
      'streamed, with events of empty text',
      true,
      (served) => {
        for (let i = 0; i < 30; i++) served.token('');
        served.finish();
        served.usage(50, 30);
        served.done();
        served.end();
      },
    ],
    ['unstreamed', false, (served) => served.result(served.completion(''))],
  ])('%s, is passed on, costs nothing, and earns no reputation', async (_, stream, how) => {
    script = how;
    const record = () =>
      house.market.hub.registry.recordOf(house.providers[0]?.id ?? '', 'node-0-0', PLAIN_MODEL)?.outcomes;
    const before = record();
    const answer = await ask({ stream });
    expect(answer).toMatchObject({ status: 200, text: '', ending: stream ? 'done' : 'plain' });
    expect((await house.usage()).at(-1)).toMatchObject({ outcome: 'completed', charge: 0n, input_tokens: 0 });
    expect(record()).toBe(before);
  });
});

describe('what an answer is made of', () => {
  const whole =
    (message: Record<string, unknown>, completion: number, n = 1): Script =>
    (served) =>
      served.result({
        ...served.completion(''),
        choices: Array.from({ length: n }, (_, index) => ({ index, message, finish_reason: 'stop' })),
        usage: { prompt_tokens: 3, completion_tokens: completion, total_tokens: 3 + completion },
      });

  it.each<[string, Record<string, unknown>]>([
    ['a refusal', { role: 'assistant', content: null, refusal: 'I would rather not do that.' }],
    ['reasoning', { role: 'assistant', content: '', reasoning_content: 'Let me think about it.' }],
    [
      'a call of a tool',
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
    ],
    [
      'a call of a function, as it was before tools',
      { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
    ],
    ['text in parts', { role: 'assistant', content: [{ type: 'text', text: 'in parts, five tokens' }] }],
  ])('%s counts as content', async (_, message) => {
    script = whole(message, 5);
    expect(await ask({ stream: false })).toMatchObject({ status: 200 });
    expect((await house.usage()).at(-1)).toMatchObject({ output_tokens: 5, input_tokens: 3 });
  });

  it('several answers are each paid for, to their own limit', async () => {
    script = whole({ role: 'assistant', content: 'a' }, 8, 4);
    await ask({ stream: false, n: 4, max_tokens: 2 });
    expect(last().request['max_tokens']).toBe(2);
    expect((await house.usage()).at(-1)).toMatchObject({ output_tokens: 8 });
  });
});

describe('holds', () => {
  it('a free model needs no money: an empty purse is served', async () => {
    script = answerPlainly;
    expect(await ask({}, FREE_MODEL)).toMatchObject({ ending: 'done' });
    expect((await house.usage()).at(-1)).toMatchObject({ outcome: 'completed', charge: 0n });
  });

  it('a crowd that waited for one hold does not fall upon one provider beyond its capacity', async () => {
    const crowd = await openHostileMarket({ providers: 2 });
    try {
      let most = 0;
      const running = new Map<SwanAgent, Served[]>();
      const waiting: (() => void)[] = [];
      const serve: Script = (served) => {
        const now = running.get(served.agent) ?? [];
        running.set(served.agent, now);
        now.push(served);
        most = Math.max(most, now.length);
        waiting.push(() => {
          now.splice(now.indexOf(served), 1);
          answerPlainly(served);
        });
        if (waiting.length === 20) for (const go of waiting.splice(0)) go();
      };
      for (const provider of [0, 1]) await crowd.swan(provider, { script: serve });
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          chat({ baseUrl: crowd.baseUrl, key: crowd.consumers[0]?.key ?? '', body: streamBody(PLAIN_MODEL) }),
        ),
      );
      expect(answers.every((answer) => answer.ending === 'done')).toBe(true);
      expect(most).toBe(10);
    } finally {
      await crowd.close();
    }
  });

  it('everything adds up afterwards', async () => {
    await house.idle();
    expect(await house.audit()).toMatchObject({ balanced: true, rejectedRecords: 0, differences: [] });
    expect(house.log.filter((line) => line.includes('met a bug'))).toEqual([]);
  });
});
