import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import {
  COUNTED_MODEL,
  type HostileMarket,
  openHostileMarket,
  PLAIN_MODEL,
} from '#support/hostile-market.ts';
import type { Script, Served } from '#support/swan-agent.ts';

/** Reliability, failure 7: what a provider states is never billed unchecked. */

let house: HostileMarket;
let script: Script = () => {};

beforeAll(async () => {
  house = await openHostileMarket({ providers: 1 });
  await house.swan(0, { models: [PLAIN_MODEL, COUNTED_MODEL], script: (served) => script(served) });
});
afterAll(() => house.close());

const ask = (body: Record<string, unknown>) =>
  chat({ baseUrl: house.baseUrl, key: house.consumers[0]?.key ?? '', body });

const WORDS = ['The ', 'quick ', 'brown ', 'fox'];
const TEXT_BYTES = 19;

/** A stream of four tokens whose usage is stated twice: as OpenAI does, and at the end. */
const stream =
  (usage: unknown, totals: Record<string, unknown> = {}, over: Record<string, unknown> = {}): Script =>
  (served) => {
    served.role();
    for (const word of WORDS) served.token(word, over);
    served.finish();
    if (usage !== undefined) served.chunk({ object: 'chat.completion.chunk', choices: [], usage });
    served.done();
    served.end(totals);
  };

const LIES: [string, unknown][] = [
  ['negative', -5],
  ['NaN as it survives JSON (null)', null],
  ['a float', 4.5],
  ['1e308', 1e308],
  ['a number as a string', '4'],
  ['an object', { valueOf: 4 }],
  ['an array', [4]],
  ['true', true],
];

describe('a streamed answer of four tokens', () => {
  it.each(LIES)('whose counts are %s is billed by our own count', async (_, lie) => {
    script = stream(
      { prompt_tokens: lie, completion_tokens: lie, total_tokens: lie },
      { tokens_input: lie, tokens_output: lie },
    );
    const answer = await ask(streamBody(PLAIN_MODEL, { stream_options: { include_usage: true } }));
    expect(answer.ending).toBe('done');
    const row = (await house.usage()).at(-1);
    expect(row).toMatchObject({ output_tokens: 4, claimed_output_tokens: null, claimed_input_tokens: null });
    expect(answer.events.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
  });

  it('without any usage is billed by our own count', async () => {
    script = stream(undefined);
    await ask(streamBody(PLAIN_MODEL));
    expect((await house.usage()).at(-1)).toMatchObject({ output_tokens: 4, claimed_output_tokens: null });
  });

  it('whose count is an explicit zero costs no output', async () => {
    script = stream({ prompt_tokens: 2, completion_tokens: 0, total_tokens: 2 });
    await ask(streamBody(PLAIN_MODEL));
    expect((await house.usage()).at(-1)).toMatchObject({ input_tokens: 2, output_tokens: 0 });
  });

  it('whose count is huge is billed for no more than the bytes that were passed on', async () => {
    script = stream({ prompt_tokens: 50_000_000, completion_tokens: 50_000_000, total_tokens: 1 });
    await ask(streamBody(PLAIN_MODEL));
    const row = (await house.usage()).at(-1);
    expect(row?.output_tokens).toBe(TEXT_BYTES + 1);
    // Two bytes of prompt, and what a template may add.
    expect(row?.input_tokens).toBeLessThanOrEqual(2 + 8 + 16);
  });

  it('that is padded with fields nobody reads earns nothing for the padding', async () => {
    const padding = 'x'.repeat(2_000);
    script = stream(
      { prompt_tokens: 2, completion_tokens: 4_000, total_tokens: 1 },
      {},
      { padding, logprobs: padding },
    );
    await ask(streamBody(PLAIN_MODEL));
    expect((await house.usage()).at(-1)?.output_tokens).toBe(TEXT_BYTES + 1);
  });

  it('that states more at its end than in its usage is billed by the lower statement', async () => {
    script = stream(
      { prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 },
      { tokens_input: 9, tokens_output: 15 },
    );
    await ask(streamBody(PLAIN_MODEL));
    expect((await house.usage()).at(-1)).toMatchObject({ input_tokens: 2, output_tokens: 4 });
  });

  it('is never billed above what the caller allowed', async () => {
    script = stream({ prompt_tokens: 2, completion_tokens: 15, total_tokens: 17 });
    await ask(streamBody(PLAIN_MODEL, { max_tokens: 3 }));
    expect((await house.usage()).at(-1)?.output_tokens).toBe(3);
  });
});

describe('an unstreamed answer', () => {
  const result =
    (usage: unknown): Script =>
    (served: Served) => {
      const { usage: _, ...rest } = served.completion(WORDS.join(''));
      served.result(usage === undefined ? rest : { ...rest, usage });
    };

  it.each([...LIES, ['missing', undefined]] as [string, unknown][])(
    'whose counts are %s is not billed a token for each byte',
    async (_, lie) => {
      script = result(lie === undefined ? undefined : { prompt_tokens: lie, completion_tokens: lie });
      const answer = await ask(streamBody(PLAIN_MODEL, { stream: false }));
      const row = (await house.usage()).at(-1);
      expect(row?.output_tokens).toBe(Math.ceil(TEXT_BYTES / 4));
      expect(JSON.parse(answer.body).usage).toEqual({
        prompt_tokens: row?.input_tokens,
        completion_tokens: row?.output_tokens,
        total_tokens: (row?.input_tokens ?? 0) + (row?.output_tokens ?? 0),
      });
    },
  );

  it('with a lie in the total alone does not pass it on', async () => {
    script = result({ prompt_tokens: 2, completion_tokens: 4, total_tokens: 1e308 });
    const answer = await ask(streamBody(PLAIN_MODEL, { stream: false }));
    expect(JSON.parse(answer.body).usage.total_tokens).toBe(6);
  });

  it('keeps the details of a usage that agrees with the bill', async () => {
    const usage = {
      prompt_tokens: 2,
      completion_tokens: 4,
      total_tokens: 6,
      prompt_tokens_details: { cached_tokens: 1 },
    };
    script = result(usage);
    const answer = await ask(streamBody(PLAIN_MODEL, { stream: false }));
    expect(JSON.parse(answer.body).usage).toEqual(usage);
  });
});

describe('an answer of a model whose vocabulary we have', () => {
  it('that was claimed too high is corrected by an entry of its own, and held against the provider', async () => {
    script = stream({ prompt_tokens: 20, completion_tokens: 19, total_tokens: 39 });
    await house.usage();
    const before = await house.balance(0);
    await ask(streamBody(COUNTED_MODEL));
    const row = (await house.usage()).at(-1);
    expect(row).toMatchObject({ output_tokens: 19 });
    const correction = async () =>
      (await house.store.database.sql`select * from corrections where request_id = ${row?.id ?? ''}`)[0];
    while (!(await correction())) await new Promise<void>((resolve) => setImmediate(resolve));
    const found = await correction();
    expect(Number(found?.['output_tokens'])).toBeLessThan(19);
    expect((await house.balance(0)) - before).toBe(-(row?.charge ?? 0n) + (found?.['refund'] as bigint));
    const record = house.market.hub.registry.recordOf(
      house.providers[0]?.id ?? '',
      'node-0-0',
      COUNTED_MODEL,
    );
    expect(record?.overclaim).toBeGreaterThan(0);
    expect(await house.audit()).toMatchObject({ balanced: true, rejectedRecords: 0 });
  });
});
