import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROBER } from '#domain/prober.ts';
import { systemRandomness } from '#kit/random.ts';
import { QuestionSpy, solutionOf } from '#support/benchmark.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import type { Served } from '#support/swan-agent.ts';
import { visit } from '#support/visitor.ts';

// Who answers benchmarks through a better model, and ordinary requests by a worse one or from memory, is found by its answers.

const LONG = { timeout: 60_000, interval: 100 };
const spy = new QuestionSpy(systemRandomness);
let market: TestMarket;
let boss: string;
beforeAll(async () => {
  market = await TestMarket.open({
    random: spy.random,
    config: {
      benchmarks: {
        mode: 'enforce',
        firstWithinMs: 0,
        pauseMsMax: 0,
        likeness: 'enforce',
        likenessEveryMs: 60,
        likenessPauseMsMax: 0,
      },
    },
  });
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    method: 'POST',
    body: { email: 'boss@example.org', password: 'correct horse battery' },
  });
  boss = made.json.token;
  await market.fresh.database.sql`update users set is_operator = true where email = 'boss@example.org'`;
});
afterAll(() => market.close());

/** What a model writes to a prompt: the same weights write the same, others something else. */
function written(weights: string, prompt: string): string[] {
  const digest = createHash('sha256').update(`${weights} ${prompt}`).digest();
  return [...digest, ...digest.toReversed()].map((byte) => WORDS[byte % WORDS.length] as string);
}
const WORDS = 'the a of to in late roof paid chairs green waits for May old harbour sold'.split(' ');

const promptOf = (served: Served): string =>
  (served.request['messages'] as { content: string }[])[0]?.content ?? '';

function say(served: Served, words: readonly string[]): void {
  served.role();
  for (const word of words) served.token(`${word} `);
  served.finish();
  served.done();
  served.end({});
}

/** Right answers to the questions of benchmarks, by whatever means; to everything else, what `otherwise` writes. */
function passing(otherwise: (prompt: string) => readonly string[]): (served: Served) => void {
  const exam = spy.script(solutionOf);
  return (served) => {
    try {
      spy.find(served);
    } catch {
      say(served, otherwise(promptOf(served)));
      return;
    }
    exam(served);
  };
}

const call = async (path: string, token: string, body?: unknown) =>
  (await visit(`${market.url}/api/v1${path}`, { token, ...(body !== undefined && { method: 'POST', body }) }))
    .json;
const likenessOf = async (provider: TestParty) => (await call('/provider/benchmarks', provider.key)).data;

test('three honest nodes vouch for one another; who forwards its benchmarks and who answers from memory pass them, are found, and lose their traffic', async () => {
  const model = market.aModel();
  const honest = await Promise.all(
    [0, 1, 2].map((at) => {
      let asked = 0;
      return market.swan(
        model,
        passing((prompt) => {
          asked += 1;
          const words = written('good', prompt);
          // The last rounds otherwise than the others: mostly late, and one answer in eight at once.
          if (at < 2) return words;
          const turnsAt = asked % 8 === 0 ? 2 : 20;
          return [...words.slice(0, turnsAt), ...written('rounding', prompt).slice(turnsAt)];
        }),
      );
    }),
  );
  const forwarder = await market.swan(
    model,
    passing((prompt) => written('worse', prompt)),
  );
  // Knows every answer that the good model ever gave here; what it has not seen it answers with the last one it knows.
  const memory = new Map<string, string[]>();
  let last = written('good', 'a prompt of last week');
  const cached = await market.swan(
    model,
    passing((prompt) => {
      const known = memory.get(prompt);
      const answer = known ?? last;
      last = written('good', prompt);
      memory.set(prompt, last);
      return answer;
    }),
  );

  for (const cheat of [forwarder, cached]) {
    await expect
      .poll(async () => (await likenessOf(cheat)).likeness, LONG)
      .toMatchObject({
        mode: 'enforce',
        nodes: [
          {
            state: 'unlike',
            because: expect.stringMatching(/^answers unlike others of this model: in \d+ of \d+ comparisons/),
          },
        ],
        findings: [{ ended: null }],
      });
    const { nodes, runs } = await likenessOf(cheat);
    expect(nodes).toMatchObject([{ passed: true }]);
    expect(runs).toMatchObject([{ passed: true, math: { right: 8 } }]);
  }
  for (const each of honest) {
    const { likeness } = await likenessOf(each);
    expect(likeness).toMatchObject({ findings: [], nodes: [{ state: 'like', because: '' }] });
    expect(likeness.nodes[0].alike).toBeGreaterThan(likeness.nodes[0].unlike);
  }

  // Its "why" says so, and ordinary requests go to the others.
  const why = await call(`/provider/why?model=${encodeURIComponent(model.id)}`, forwarder.key);
  expect(why.models[0].nodes[0]).toMatchObject({
    verdict: null,
    behind: expect.stringContaining('answers unlike others of this model'),
  });
  expect(why.models[0].summary).toContain('answers unlike others of this model');
  const consumer = await market.consumer();
  const prompts = Array.from({ length: 12 }, (_, i) => `Please tell me about chair ${i}.`);
  for (const content of prompts) {
    const body = {
      model: model.id,
      messages: [{ role: 'user', content }],
      max_tokens: 60,
      temperature: 0,
      stream: true,
    };
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that nobody is full.
    expect((await ask({ url: market.url, key: consumer.key, body })).status).toBe(200);
  }
  const served = await market.usage(consumer, prompts.length);
  expect(new Set(served.map(({ providerId }) => providerId))).not.toContain(forwarder.id);
  expect(served.map(({ providerId }) => providerId)).not.toContain(cached.id);

  // Nothing in a check says that it is one: its fields are a consumer's.
  const [ordinary] = honest
    .flatMap(({ agent }) => agent.inferences)
    .filter((each) => prompts.includes(promptOf(each)));
  const compared = forwarder.agent.inferences
    .filter((each) => (each.request['max_tokens'] as number) <= 80)
    .at(-1);
  const fields = (each: Served | undefined) =>
    Object.keys(each?.request ?? {})
      .filter((field) => field !== 'logprobs')
      .toSorted();
  expect(fields(compared)).toEqual(fields(ordinary));
  expect(ordinary).toBeDefined();
  // The platform pays for them, and every provider is paid.
  await market.posted();
  const paid = await market.fresh.database.sql<{ provider: string }[]>`
    select distinct provider_id as provider from usage where consumer_id = ${PROBER.ownerId} and charge > 0`;
  expect(paid.map(({ provider }) => provider).toSorted()).toEqual(
    [...honest, forwarder, cached].map(({ id }) => id).toSorted(),
  );
  // Nobody was asked the same twice.
  const [twice] = await market.fresh.database.sql<{ count: number }[]>`
    select (count(*) - count(distinct prompt))::float8 as count from likeness_checks`;
  expect(twice?.count).toBe(0);

  // The operator sees what it rests on, and may clear it.
  const { findings } = await call('/operator/likeness', boss);
  expect(findings).toHaveLength(2);
  const { id } = findings.find((each: { provider_id: string }) => each.provider_id === forwarder.id);
  const shown = await call(`/operator/likeness/${id}`, boss);
  expect(shown.checks_shown[0].answers).toHaveLength(5);
  expect(JSON.stringify(await likenessOf(forwarder))).not.toContain('opening');
  forwarder.agent.stop();
  const cleared = await call(`/operator/likeness/${id}/clear`, boss, { reason: 'It took part in a trial.' });
  expect(cleared.ended).toMatchObject({ as: 'cleared', because: 'It took part in a trial.' });
  expect((await likenessOf(forwarder)).likeness).toMatchObject({
    nodes: [{ state: 'like' }],
    findings: [{ id }],
  });
  expect((await call('/operator/likeness/unlike_none/clear', boss, { reason: 'r' })).error).toBeDefined();
  expect((await visit(`${market.url}/api/v1/operator/likeness`, { token: forwarder.key })).status).toBe(401);
}, 150_000);

test('with two providers nobody is found, whoever of them is right', async () => {
  const model = market.aModel();
  const [one, other] = await Promise.all([
    market.swan(
      model,
      passing((prompt) => written('good', prompt)),
    ),
    market.swan(
      model,
      passing((prompt) => written('worse', prompt)),
    ),
  ]);
  await expect.poll(async () => (await likenessOf(one)).nodes, LONG).toMatchObject([{ passed: true }]);
  await expect.poll(async () => (await likenessOf(other)).nodes, LONG).toMatchObject([{ passed: true }]);
  // Both may serve, and a check was due many times by now: with two, none is made.
  const [row] = await market.fresh.database.sql<{ count: number }[]>`
    select count(*)::float8 as count from likeness_checks where model_id = ${model.id}`;
  expect(row?.count).toBe(0);
});
