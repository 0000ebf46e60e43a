import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import type { CollateralStep } from '#support/benchmark.ts';
import { BenchHouse, solutionOf } from '#support/benchmark.ts';
import { MODEL, SECOND_MODEL } from '#support/test-hub.ts';
import type { Question } from './tasks/question.ts';

const DAY = 86_400_000;
let house: BenchHouse;
beforeAll(async () => {
  house = await BenchHouse.open();
});
afterAll(() => house.close());
beforeEach(() => house.leaveAll());

const knows = (question: Question): string => solutionOf(question);
const fails = (): string => 'I do not know.';

describe('a node that is here', () => {
  it('is asked once its turn has come, by requests like any consumer’s, and passes by right answers', async () => {
    const { agent, place, sampler } = await house.node({ answers: knows });
    await sampler.look();
    expect(agent.inferences).toEqual([]);
    await house.later(DAY);
    await house.runs(sampler);
    expect(agent.inferences).toHaveLength(16);
    for (const served of agent.inferences) {
      expect(served.id).toMatch(/^att_/);
      expect(served.stream).toBe(true);
      expect(Object.keys(served.request).filter((field) => field !== 'temperature')).toEqual([
        'model',
        'messages',
        'stream',
        'max_tokens',
      ]);
      const said = JSON.stringify(served.request);
      expect(said).not.toMatch(/benchmark|expected|answer_key/i);
    }
    expect(agent.unknownTypes).toEqual(['notice']);
    const [run] = await house.store.latest({ providerId: place.providerId, limit: 5 });
    expect(run).toMatchObject({
      verdict: { passed: true, step: 'none' },
      score: { math: [8, 8], code: [4, 4] },
    });
    expect(house.book.against(place.nodeId, place.modelId)).toBeUndefined();
    // And again a day later, at another instant of the day.
    await sampler.look();
    await sampler.idle();
    expect(agent.inferences).toHaveLength(16);
    await house.later(DAY);
    await house.runs(sampler);
    expect(agent.inferences).toHaveLength(32);
    const asked = agent.inferences.map(({ request }) => JSON.stringify(request['messages']));
    expect(new Set(asked).size).toBe(32);
  });

  it('is asked by binary frames or text alike, and of old generations too', async () => {
    for (const generation of ['A', 'B', 'C'] as const) {
      const { place, sampler } = await house.node({ answers: knows, generation });
      await house.turnComes(sampler);
      const [run] = await house.store.latest({ providerId: place.providerId, limit: 1 });
      expect(run?.verdict.passed).toBe(true);
    }
  });

  it('that fails one paper is asked a second one, and passes by it', async () => {
    let count = 0;
    const { agent, place, sampler } = await house.node({
      answers: (question) => (count++ < 16 ? fails() : knows(question)),
    });
    await house.turnComes(sampler);
    expect(agent.inferences).toHaveLength(32);
    const [run] = await house.store.latest({ providerId: place.providerId, limit: 1 });
    expect(run?.verdict.passed).toBe(true);
  });

  it('that fails both is kept from earning, is told why, and what follows is taken once', async () => {
    const { place, sampler, notices } = await house.node({ answers: fails, activatedDaysAgo: 30 });
    await house.turnComes(sampler);
    const [run] = await house.store.latest({ providerId: place.providerId, limit: 1 });
    expect(run).toMatchObject({ verdict: { passed: false, counted: true, failures: 1, step: 'warning' } });
    expect(house.book.against(place.nodeId, place.modelId)).toMatch(/no requests until/);
    expect(house.slashes).toEqual<CollateralStep[]>([
      expect.objectContaining({ id: `benchmark:${run?.id}`, providerId: place.providerId, failures: 1 }),
    ]);
    expect(notices()).toEqual([
      expect.objectContaining({
        event: 'benchmark_failed',
        severity: 'critical',
        message: expect.stringMatching(
          /Math: 0 of 8 answers were right.*No requests for it until.*costs collateral/,
        ),
      }),
    ]);
    expect(JSON.stringify(notices())).not.toMatch(/seed|prompt/);
    await sampler.actOnWhatIsLeft();
    expect(house.slashes).toHaveLength(1);
  });

  it('climbs the ladder day by day, and a pass leads back to its foot', async () => {
    let good = false;
    const { place, sampler } = await house.node({
      answers: (question) => (good ? knows(question) : fails()),
      activatedDaysAgo: 30,
    });
    const steps = [];
    for (const day of [false, false, true, false, false, false]) {
      good = day;
      await house.turnComes(sampler);
      steps.push((await house.store.latest({ providerId: place.providerId, limit: 1 }))[0]?.verdict.step);
    }
    expect(steps).toEqual(['warning', 'slash', 'none', 'warning', 'slash', 'removal']);
    expect(house.slashes.map(({ failures }) => failures)).toEqual([1, 2, 1, 2, 3]);
  });

  it('under a new name goes on where the old one stopped', async () => {
    const first = await house.node({ answers: fails, activatedDaysAgo: 30 });
    await house.turnComes(first.sampler);
    first.agent.stop();
    const second = await house.node({ answers: fails, provider: first.provider });
    await house.turnComes(second.sampler);
    const [run] = await house.store.latest({ providerId: first.place.providerId, limit: 1 });
    expect(run).toMatchObject({ nodeId: second.place.nodeId, verdict: { failures: 2, step: 'slash' } });
  });

  it('loses no collateral before it was active, nor in the days of grace', async () => {
    for (const activatedDaysAgo of [undefined, 3]) {
      const { place, sampler } = await house.node({ answers: fails, activatedDaysAgo });
      await house.turnComes(sampler);
      const [run] = await house.store.latest({ providerId: place.providerId, limit: 1 });
      expect(run?.verdict).toMatchObject({ counted: false, step: 'withheld' });
    }
    expect(house.slashes).toEqual([]);
  });

  it('that failed while benchmarks were only watched is asked anew at once when they are enforced', async () => {
    const { agent, place, sampler } = await house.node({ answers: fails });
    const watching = house.another({ mode: 'watch' });
    await house.turnComes(watching);
    const [run] = await house.store.latest({ providerId: place.providerId, limit: 1 });
    expect(run?.verdict).toMatchObject({ passed: false, step: 'none', withheldUntil: null });
    const asked = agent.inferences.length;
    await sampler.look();
    await house.runs(sampler);
    expect(agent.inferences.length).toBeGreaterThan(asked);
    await watching.close();
  });

  it('is too old to trust after thirty days without a pass', async () => {
    const { agent, place, sampler } = await house.node({ answers: knows });
    await house.turnComes(sampler);
    agent.stop();
    await house.later(29 * DAY);
    expect(house.book.against(place.nodeId, place.modelId)).toBeUndefined();
    await house.later(2 * DAY);
    expect(house.book.against(place.nodeId, place.modelId)).toMatch(/too old/);
  });

  it('hears when it registers that it is not routed to yet, and why', async () => {
    const { transports } = await house.node({ answers: knows });
    expect(transports[0]?.messages('notice').map(({ payload }) => payload)).toEqual([
      expect.objectContaining({
        event: 'traffic_withheld',
        details: { [MODEL]: 'the benchmark is not passed yet' },
      }),
    ]);
  });

  it('with two models must pass on each', async () => {
    const { place, sampler } = await house.node({
      models: [MODEL, SECOND_MODEL],
      answers: (question, modelId) => (modelId === MODEL ? knows(question) : fails()),
    });
    await house.turnComes(sampler);
    await house.turnComes(sampler);
    expect(house.book.against(place.nodeId, MODEL)).toBeUndefined();
    expect(house.book.against(place.nodeId, SECOND_MODEL)).toBeDefined();
  });
});

describe('what is nobody’s failure', () => {
  it('a connection that is lost in the middle teaches nothing, and the turn comes again', async () => {
    const { agent, place, sampler } = await house.node({
      answers: (question) => {
        if (agent.inferences.length === 5) agent.reconnect();
        return knows(question);
      },
    });
    await house.turnComes(sampler);
    expect(await house.store.latest({ providerId: place.providerId, limit: 1 })).toEqual([]);
    await agent.until(() => agent.registered);
    await house.later(3_600_000);
    await house.runs(sampler);
    expect((await house.store.latest({ providerId: place.providerId, limit: 1 }))[0]?.verdict.passed).toBe(
      true,
    );
  });

  it('an agent that has no room teaches nothing', async () => {
    const { place, sampler } = await house.node({ answers: () => ({ status: 429 }) });
    await house.turnComes(sampler);
    expect(await house.store.latest({ providerId: place.providerId, limit: 1 })).toEqual([]);
  });

  it.each([
    ['says that it failed', { status: 500 }],
    ['says that it does not have the model it lists', { status: 404 }],
    ['ends without a word', { status: 200 }],
  ])('but one that %s has answered wrongly', async (_what, answer) => {
    const { place, sampler } = await house.node({ answers: () => answer, activatedDaysAgo: 30 });
    await house.turnComes(sampler);
    const [run] = await house.store.latest({ providerId: place.providerId, limit: 1 });
    expect(run?.verdict.passed).toBe(false);
  });

  it('one that never answers is late, question by question', async () => {
    const { place, sampler } = await house.node({ answers: () => undefined, activatedDaysAgo: 30 });
    await house.turnComes(sampler, 3_600_000);
    const [latest] = await house.store.latest({ providerId: place.providerId, limit: 1 });
    const run = await house.store.find(latest?.id ?? '');
    expect(run?.papers?.flatMap(({ answers }) => answers.map(({ why }) => why))).toEqual(
      Array(32).fill('late'),
    );
  });

  it('one that writes without end is stopped', async () => {
    const { place, sampler } = await house.node({
      answers: () => 'lorem ipsum '.repeat(20_000),
      activatedDaysAgo: 30,
    });
    await house.turnComes(sampler);
    const [latest] = await house.store.latest({ providerId: place.providerId, limit: 1 });
    const run = await house.store.find(latest?.id ?? '');
    expect(run?.papers?.[0]?.answers.every(({ why }) => why === 'too-long')).toBe(true);
  });
});

describe('two gateways, and processes that die', () => {
  it('ask a node once, whoever comes first', async () => {
    const { agent, place, sampler } = await house.node({ answers: knows });
    const other = house.another();
    await sampler.look();
    await house.later(DAY);
    await Promise.all([house.runs(sampler), house.runs(other)]);
    expect(agent.inferences).toHaveLength(16);
    expect(await house.store.latest({ providerId: place.providerId, limit: 5 })).toHaveLength(1);
    await other.close();
  });

  it('a turn whose process died is taken again when its time is over, and a late result counts for nothing', async () => {
    const { place, sampler } = await house.node({ answers: knows });
    await sampler.look();
    await house.later(DAY);
    const at = house.clock.wallMs();
    expect(await house.store.claim(place, { runId: 'bench_dead', at, until: at + 3_600_000 })).toBe(true);
    await house.book.look([place.nodeId]);
    await house.runs(sampler);
    expect(await house.store.latest({ providerId: place.providerId, limit: 5 })).toEqual([]);
    await house.later(2 * 3_600_000);
    await house.runs(sampler);
    const [run] = await house.store.latest({ providerId: place.providerId, limit: 5 });
    expect(run?.verdict.passed).toBe(true);
    const late = { ...run, ...place, id: 'bench_dead' } as NonNullable<typeof run>;
    const verdict = await house.store.finish(
      late,
      () => late.verdict,
      () => 0,
    );
    expect(verdict).toBeUndefined();
  });

  it('a process that died between the verdict and what it takes leaves it to the next', async () => {
    const { place, sampler } = await house.node({ answers: fails, activatedDaysAgo: 30 });
    house.breakCollateral();
    await house.turnComes(sampler);
    expect(house.slashes).toEqual([]);
    const other = house.another();
    await other.actOnWhatIsLeft();
    await other.actOnWhatIsLeft();
    expect(house.slashes).toEqual([expect.objectContaining({ providerId: place.providerId, failures: 1 })]);
    await other.close();
  });

  it('a run under way when its process leaves is given up, and its turn is free at once', async () => {
    const { place } = await house.node({ answers: () => undefined });
    const leaving = house.another();
    await leaving.look();
    await house.later(DAY);
    await leaving.look();
    await house.began();
    await leaving.close();
    const [turn] = (await house.store.turns([place.nodeId])).filter(
      ({ modelId }) => modelId === place.modelId,
    );
    expect(turn?.claimedUntil).toBeNull();
    expect(await house.store.latest({ providerId: place.providerId, limit: 1 })).toEqual([]);
  });
});

test('no question is asked twice, whoever is asked', async () => {
  const prompts: string[] = [];
  for (let i = 0; i < 4; i++) {
    const { agent, sampler } = await house.node({ answers: knows });
    await house.turnComes(sampler);
    prompts.push(...agent.inferences.map(({ request }) => JSON.stringify(request['messages'])));
  }
  expect(new Set(prompts).size).toBe(prompts.length);
});

test('who answers from memory what others were asked, word for word or in their order, does not pass', async () => {
  const heard = new Map<string, string>();
  const inOrder: string[] = [];
  const good = await house.node({
    answers: (question) => {
      const answer = solutionOf(question);
      heard.set(question.prompt, answer);
      inOrder.push(answer);
      return answer;
    },
  });
  await house.turnComes(good.sampler);
  expect(heard.size).toBe(16);
  let next = 0;
  let known = 0;
  const cheat = await house.node({
    answers: (question) => {
      if (heard.has(question.prompt)) known += 1;
      return heard.get(question.prompt) ?? inOrder[next++ % inOrder.length];
    },
  });
  await house.turnComes(cheat.sampler);
  const [run] = await house.store.latest({ providerId: cheat.place.providerId, limit: 1 });
  expect(known).toBe(0);
  expect(run?.verdict.passed).toBe(false);
  expect(run?.shortcomings.join(' ')).toContain('Math');
});
