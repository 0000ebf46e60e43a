import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import type { Script, Served } from '#support/swan-agent.ts';

/** Reliability, failures 8 and 9: an answer is never put together from two, and a torn one never looks whole. */

let house: HostileMarket;
let script: Script = () => {};
const served: Served[] = [];

beforeAll(async () => {
  house = await openHostileMarket({ providers: 3 });
  for (let provider = 0; provider < 3; provider++) {
    await house.swan(provider, {
      script: (each) => {
        served.push(each);
        script(each);
      },
    });
  }
});
afterAll(() => house.close());

const ask = (over: Record<string, unknown> = {}) =>
  chat({ baseUrl: house.baseUrl, key: house.consumers[0]?.key ?? '', body: streamBody(PLAIN_MODEL, over) });

/** A text that tells which attempt it came from and where in it. */
const marked = (each: Served, at: number): string => `<${each.agent.options.nodeId}:${each.id}:${at}>`;

describe('an answer that breaks after k tokens', () => {
  it.each(Array.from({ length: 31 }, (_, k) => k))(
    'k = %i: what the client holds is a prefix of exactly one attempt',
    async (k) => {
      served.length = 0;
      // The first attempt's machine dies; whoever is asked next answers in full.
      script = (each) => {
        each.role();
        if (served.length > 1) {
          for (let i = 0; i < 31; i++) each.token(marked(each, i));
          each.finish();
          each.done();
          each.end();
          return;
        }
        for (let i = 0; i < k; i++) each.token(marked(each, i));
        each.agent.reconnect();
      };
      const answer = await ask();
      const texts = served.map((each) => Array.from({ length: 31 }, (_, i) => marked(each, i)).join(''));
      expect(texts.filter((text) => text.startsWith(answer.text))).toHaveLength(answer.text === '' ? 2 : 1);
      // Nothing was shown: another provider answers. Something was: it is all there will be.
      const shown = Array.from({ length: k }, (_, i) => marked(served[0] as Served, i)).join('');
      expect(served).toHaveLength(k === 0 ? 2 : 1);
      expect([answer.ending, answer.error?.code, answer.text]).toEqual(
        k === 0 ? ['done', undefined, texts[1]] : ['error', 'provider_cut_off', shown],
      );
      // One id, one model, one role, whatever happened.
      expect(
        new Set(answer.events.filter((each) => !each['error']).map((each) => each['id'])).size,
      ).toBeLessThan(2);
      expect(answer.body.match(/"role":"assistant"/g) ?? []).toHaveLength(1);
    },
  );
});

describe('silent truncation', () => {
  const tokens = (each: Served): void => {
    each.role();
    each.token('half of an');
  };
  it.each<[string, Script]>([
    ['the end comes without a finish and without the end mark', (each) => (tokens(each), each.end())],
    [
      'the end states tokens and nothing else',
      (each) => (tokens(each), each.end({ tokens_input: 3, tokens_output: 9 })),
    ],
    ['the end carries a status', (each) => (tokens(each), each.end({ status_code: 502, error: 'x' }))],
    ['the end carries a status and no words', (each) => (tokens(each), each.end({ status_code: 500 }))],
    [
      'an error takes the place of a chunk',
      (each) => (tokens(each), each.chunk({ error: { code: 500 } }), each.done(), each.end()),
    ],
    [
      'the error of generation C comes after content',
      (each) => (tokens(each), each.chunk(null, { done: true, error: 'x' }), each.end()),
    ],
    [
      'an answer to an unstreamed request comes instead',
      (each) => (tokens(each), each.result(each.completion('x'))),
    ],
    ['the link is lost', (each) => (tokens(each), each.agent.reconnect())],
  ])('%s: an error event, no [DONE], no finish, no charge', async (_, how) => {
    served.length = 0;
    script = how;
    const before = await house.balance(0);
    const answer = await ask();
    expect(answer).toMatchObject({ status: 200, ending: 'error', text: 'half of an' });
    expect(answer.body).not.toContain('[DONE]');
    expect(answer.body).not.toContain('"finish_reason":"stop"');
    expect(served).toHaveLength(1);
    const row = (await house.usage()).at(-1);
    expect(row).toMatchObject({ outcome: 'broken', charge: 0n });
    expect(await house.balance(0)).toBe(before);
  });

  it.each<[string, Script]>([
    ['nothing answers', (each) => each.result(null)],
    ['an error', (each) => each.result(null, { error: 'x', status_code: 500 })],
    ['no completion', (each) => each.result({ choices: [] })],
    ['a stream in its place', (each) => (tokens(each), each.finish(), each.done(), each.end())],
  ])('unstreamed, with %s, is 502', async (_, how) => {
    script = how;
    const answer = await ask({ stream: false });
    expect(answer).toMatchObject({ status: 502, error: { type: 'server_error' } });
    await house.idle();
  });
});
