import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppealDesk } from '#benchmark/appeals.ts';
import { BenchmarkStore } from '#benchmark/store.ts';
import { parseUsd } from '#domain/money.ts';
import { Collateral } from '#funds/collateral.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { type Answers, QuestionSpy, solutionOf } from '#support/benchmark.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { makeId } from '#support/parties.ts';
import { answerPlainly, type Served } from '#support/swan-agent.ts';
import { visit } from '#support/visitor.ts';

// Benchmarks through a whole market: who passes earns, who fails does not, and both are told.

const LONG = { timeout: 25_000 };
const spy = new QuestionSpy(systemRandomness);
let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open({
    random: spy.random,
    config: { benchmarks: { mode: 'enforce', firstWithinMs: 0, pauseMsMax: 0 } },
  });
});
afterAll(() => market.close());

/** Answers questions of the market's own so, and everybody else plainly. */
function script(answers: Answers): (served: Served) => void {
  const answerQuestions = spy.script(answers);
  return (served) => {
    const [message] = served.request['messages'] as { content: string }[];
    if (message?.content === HELLO[0]?.content) answerPlainly(served);
    else answerQuestions(served);
  };
}
const status = async (key: string, where = market) =>
  (await visit(`${where.url}/api/v1/provider/status`, { token: key })).json;
const benchmarks = async (key: string) =>
  (await visit(`${market.url}/api/v1/provider/benchmarks`, { token: key })).json.data;

test('a new provider is approved, activating, active and paid as soon as its benchmark is passed, and not before', async () => {
  const model = market.aModel();
  const provider = await market.provider('approved');
  let answering = false;
  const waiting: (() => void)[] = [];
  const answers = script(solutionOf);
  const { agent } = await market.swan(
    model,
    (served) => {
      if (answering) answers(served);
      else waiting.push(() => answers(served));
    },
    { token: provider.key },
  );
  const consumer = await market.consumer();
  const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  await expect
    .poll(() => status(provider.key), LONG)
    .toMatchObject({
      status: 'activating',
      earnings_enabled: false,
      next_steps: ['Keep your agent connected: its benchmark comes by itself.'],
      warning: expect.stringContaining('the benchmark is not passed yet'),
    });
  await expect.poll(() => waiting.length, LONG).toBe(1);
  expect((await ask(asked)).status).toBe(503);
  answering = true;
  for (const go of waiting) go();
  await expect
    .poll(() => status(provider.key), LONG)
    .toMatchObject({ status: 'active', earnings_enabled: true });
  await expect.poll(async () => (await ask(asked)).status, LONG).toBe(200);
  expect(agent.inferences.length).toBe(17);

  const seen = await benchmarks(provider.key);
  expect(seen).toMatchObject({ mode: 'enforce', valid_days: 30 });
  expect(seen.nodes).toEqual([expect.objectContaining({ model_id: model.id, passed: true, because: '' })]);
  expect(seen.runs).toEqual([
    expect.objectContaining({ passed: true, math: { right: 8, asked: 8 }, follows: 'none' }),
  ]);
  expect(JSON.stringify(seen)).not.toMatch(/prompt|seed|answers|due/);
  // Nobody paid for the questions, and nobody is paid for them.
  await market.posted();
  expect(await market.usage(consumer, 1)).toHaveLength(1);
  const [row] = await market.fresh.database.sql<{ count: bigint }[]>`
    select count(*) as count from usage where provider_id = ${provider.id}`;
  expect(row?.count).toBe(1n);
});

test('an active provider that fails is suspended, told why and what next, and comes back by passing', async () => {
  const model = market.aModel();
  const provider = await market.provider();
  let good = false;
  await market.swan(
    model,
    script((question) => (good ? solutionOf(question) : 'no')),
    {
      token: provider.key,
    },
  );
  await expect
    .poll(() => status(provider.key), LONG)
    .toMatchObject({
      status: 'suspended',
      message: expect.stringContaining('No benchmark is passed'),
      next_steps: [
        expect.stringContaining('/api/v1/provider/benchmarks'),
        expect.stringContaining('Mend it'),
      ],
      warning: expect.stringContaining('no requests until'),
    });
  const { runs } = await benchmarks(provider.key);
  expect(runs).toEqual([
    expect.objectContaining({
      passed: false,
      follows: 'withheld',
      shortcomings: expect.arrayContaining(['Math: 0 of 8 answers were right, 4 are needed.']),
    }),
  ]);
  good = true;
  await new BenchmarkStore(market.fresh.database).hurry({
    providerId: provider.id,
    at: systemClock.wallMs(),
  });
  await expect.poll(() => status(provider.key), LONG).toMatchObject({ status: 'active' });
});

test('another gateway on the same database knows who passed, and asks nobody twice', async () => {
  const other = await TestMarket.open({
    on: market,
    random: spy.random,
    config: { benchmarks: { mode: 'enforce', firstWithinMs: 0, pauseMsMax: 0 } },
  });
  try {
    const model = market.aModel();
    const provider = await market.provider();
    const { agent } = await market.swan(model, script(solutionOf), { token: provider.key });
    await expect.poll(async () => (await benchmarks(provider.key)).runs.length, LONG).toBe(1);
    const there = await visit(`${other.url}/api/v1/provider/benchmarks`, { token: provider.key });
    await expect
      .poll(
        async () =>
          (await visit(`${other.url}/api/v1/provider/benchmarks`, { token: provider.key })).json.data.nodes,
      )
      .toEqual([expect.objectContaining({ passed: true })]);
    expect(there.status).toBe(200);
    expect(agent.inferences).toHaveLength(16);
  } finally {
    await other.close();
  }
});

describe('an appeal', () => {
  const failing = async () => {
    const model = market.aModel();
    const provider = await market.provider();
    const { database } = market.fresh;
    await database.sql`
      update providers set activated_at = ${new Date(systemClock.wallMs() - 30 * 86_400_000)} where id = ${provider.id}`;
    const collateral = new Collateral({
      database,
      chain: undefined,
      clock: systemClock,
      makeId,
      log: silentLog,
    });
    const { id } = await collateral.announceDollars(provider.id, parseUsd('20'));
    await collateral.confirmDollars(id, { reference: makeId('ref') });
    // A failed run of two days ago.
    await database.sql`
      insert into benchmark_runs (
        id, node_id, model_id, provider_id, began_at, ended_at, passed, counted, failures, step, shortcomings, math_right,
        math_asked, code_right, code_asked, tokens_per_second, tier, papers, acted_at
      )
      select ${makeId('bench')}, 'n', 'm', ${provider.id}, at, at, false, true, 1, 'warning', '{}', 0, 8, 0, 4, 0, 'A', '[]', at
      from (select ${new Date(systemClock.wallMs() - 2 * 86_400_000)}::timestamptz as at)`;
    await market.swan(
      model,
      script(() => 'no'),
      { token: provider.key },
    );
    const store = new BenchmarkStore(database);
    const latest = async () => (await store.latest({ providerId: provider.id, limit: 1 }))[0];
    await expect.poll(async () => (await latest())?.verdict.step, LONG).toBe('slash');
    const run = await latest();
    const decide = (decision: 'granted' | 'rejected') =>
      new AppealDesk(database).decide(
        { store, collateral },
        { about: run?.id ?? '', decision, reason: 'r', actor: 'test', at: systemClock.wallMs() },
      );
    const pledge = async () => (await collateral.pledgesOf(provider.id))[0]?.locked;
    return { provider, run, decide, pledge, latest };
  };

  test('that is granted sets the run aside and gives back what it took, once', async () => {
    const { decide, pledge, latest } = await failing();
    await expect.poll(pledge).toBe(parseUsd('18'));
    expect(await decide('granted')).toEqual({
      decision: 'granted',
      known: false,
      dollars: parseUsd('2'),
      tokens: [],
    });
    expect(await decide('granted')).toMatchObject({ known: true, dollars: parseUsd('2') });
    expect(await pledge()).toBe(parseUsd('20'));
    await expect(decide('rejected')).rejects.toThrow('The appeal was granted before.');
    // It is asked anew at once, and what was set aside is no step any more.
    await expect
      .poll(async () => (await latest())?.verdict, LONG)
      .toMatchObject({ step: 'slash', failures: 2 });
  });

  test('that is rejected changes nothing', async () => {
    const { decide, pledge, run, provider } = await failing();
    await expect.poll(pledge).toBe(parseUsd('18'));
    expect(await decide('rejected')).toMatchObject({ decision: 'rejected', dollars: 0n });
    await expect(decide('granted')).rejects.toThrow('The appeal was rejected before.');
    expect(await pledge()).toBe(parseUsd('18'));
    const { runs } = await benchmarks(provider.key);
    expect(runs[0]).toMatchObject({ id: run?.id, appeal: { decision: 'rejected', reason: 'r' } });
  });
});

test('who is removed stays removed, whatever a program tries', async () => {
  const provider = await market.provider();
  const { sql } = market.fresh.database;
  await sql`update providers set state = 'removed' where id = ${provider.id}`;
  await expect(sql`update providers set state = 'active' where id = ${provider.id}`).rejects.toThrow(
    'a removed provider stays removed',
  );
});

describe('cygnet-nano', () => {
  test('passes the questions for small models, and fails those for large ones', async () => {
    const { sql } = market.fresh.database;
    const run = async () => {
      const provider = await market.provider();
      const agent = await market.agent(provider, ['cygnet/cygnet-nano=models/cygnet-nano-q8_0.gguf']);
      const store = new BenchmarkStore(market.fresh.database);
      const latest = async () => (await store.latest({ providerId: provider.id, limit: 1 }))[0];
      await expect.poll(latest, LONG).toMatchObject({ nodeId: agent.nodeId });
      await agent.close();
      return await latest();
    };
    const small = await run();
    expect([small?.verdict.passed, small?.shortcomings]).toEqual([true, []]);
    await sql`update models set min_vram_gb = 24 where id = 'cygnet/cygnet-nano'`;
    await sql`select pg_notify('catalogue_changed', '')`;
    await expect
      .poll(async () => {
        const large = await run();
        return large?.verdict.passed;
      }, LONG)
      .toBe(false);
  });
});
