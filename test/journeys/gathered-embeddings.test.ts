import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import type { Script, Served } from '#support/swan-agent.ts';

// Requests of several consumers in one call to an agent: who is answered what, and who is billed what.

const MODEL = 'BAAI/bge-m3';

let market: TestMarket;
let consumers: TestParty[];
beforeAll(async () => {
  // The window is long, so that the end of the call in front is what lets a gathered one go.
  market = await TestMarket.open({
    config: { routing: { embeddingsWindowMs: 60_000, backoff: { baseMs: 1, capMs: 2 } } },
  });
  consumers = [await market.consumer(), await market.consumer(), await market.consumer()];
});
afterAll(() => market.close());

interface EmbeddingList {
  data: { embedding: number[] }[];
  usage: { prompt_tokens: number };
}

const textsOf = ({ request: { input } }: Served): string[] =>
  Array.isArray(input) ? (input as string[]) : [String(input)];

/** The vector of a text is its length, and so are its tokens. */
function answer(served: Served): void {
  const counts = textsOf(served).map((text) => text.length);
  const sum = counts.reduce((so, each) => so + each, 0);
  served.result({
    object: 'list',
    model: 'local-name',
    data: counts.map((length, index) => ({ object: 'embedding', index, embedding: [length, 1] })),
    usage: { prompt_tokens: sum, total_tokens: sum, prompt_tokens_per_input: counts },
  });
}

async function ask(
  consumer: TestParty,
  input: string,
): Promise<{ id: string; status: number; body: EmbeddingList }> {
  const response = await fetch(`${market.url}/v1/embeddings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${consumer.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, input, encoding_format: 'float' }),
  });
  return {
    id: response.headers.get('x-request-id') ?? '',
    status: response.status,
    body: (await response.json()) as EmbeddingList,
  };
}

test('three consumers share a call, and each is answered, counted and charged for its own text alone', async () => {
  let open: Served | undefined;
  const script: Script = (served) => {
    if (textsOf(served).includes('in front')) open = served;
    else answer(served);
  };
  const { agent } = await market.swan({ id: MODEL }, script);
  const [a, b, c] = consumers as [TestParty, TestParty, TestParty];
  const roomLeft = (): number | undefined => market.marketplace.hub.candidates(MODEL)[0]?.gathering?.inputs;

  expect((await ask(a, 'learn')).status).toBe(200);
  const front = ask(a, 'in front');
  await agent.until(() => open !== undefined);
  const asked = [ask(a, 'x'), ask(b, 'four'), ask(c, 'sixsix')];
  await vi.waitUntil(() => roomLeft() === 61);
  answer(open as Served);
  await front;
  const answers = await Promise.all(asked);

  expect(agent.inferences.map((served) => textsOf(served).toSorted())).toEqual([
    ['learn'],
    ['in front'],
    ['four', 'sixsix', 'x'],
  ]);
  expect(
    answers.map(({ body }) => [body.data[0]?.embedding[0], body.data.length, body.usage.prompt_tokens]),
  ).toEqual([
    [1, 1, 1],
    [4, 1, 4],
    [6, 1, 6],
  ]);
  expect(JSON.stringify(answers)).not.toContain('per_input');
  const rows = await Promise.all([market.usage(a, 3), market.usage(b, 1), market.usage(c, 1)]);
  const last = rows.map((own) => own.at(-1));
  expect(last.map((row) => row?.inputTokens)).toEqual([1, 4, 6]);
  expect(last.map((row) => row?.id)).toEqual(answers.map(({ id }) => id));
  const price = last[0]?.charge ?? 0n;
  expect(price).toBeGreaterThan(0n);
  expect(last.map((row) => row?.charge)).toEqual([price, 4n * price, 6n * price]);
});
