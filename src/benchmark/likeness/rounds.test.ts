import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { makeId, makeProvider } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { DEFAULT_BENCHMARK_SETTINGS } from '../settings.ts';
import { BenchmarkStore } from '../store.ts';
import { digestOf } from '../tasks/paper.ts';
import { LikenessBook } from './book.ts';
import { type AskLike, LikenessRounds } from './rounds.ts';
import { LikenessStore } from './store.ts';

// Checks on a real database, with answers from here and a clock in hand.

const DAY_MS = 86_400_000;
let fresh: FreshDatabase;
let houses = 0;
const leaving: (() => Promise<void>)[] = [];
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  for (const close of leaving) await close();
  await fresh.drop();
});

const GOOD = 'The harbour at Kumo sold ninety lanterns on the first day of May and closed early';
const OTHER = 'Sure! Lanterns are a kind of lamp which many people like to buy now and then';
const REFUSED = { status: 402, code: 'insufficient_balance', text: '', ttftMs: null };

/** A model with a node for each of `nodes` (by provider), which answer by `answer`. */
async function house(nodes: readonly (readonly string[])[]) {
  const { database } = fresh;
  const clock = new VirtualClock();
  const store = new LikenessStore(database);
  const modelId = makeId('model');
  const providers = await Promise.all(nodes.map(() => makeProvider(database)));
  const candidates = nodes.flatMap((of, i) =>
    of.map((node) => ({
      id: `link/${node}`,
      nodeId: `${modelId}/${node}`,
      providerId: providers[i]?.id ?? '',
      mode: 'websocket',
      eligible: true,
      draining: false,
      breaker: { state: 'closed' },
    })),
  );
  const told: unknown[] = [];
  const hub = {
    candidates: () => candidates,
    registry: {
      models: () => [modelId],
      presenceOf: () => ({ tell: (notice: unknown) => told.push(notice) }),
    },
  };
  const asked: { node: string; prompt: string }[] = [];
  let answer = (_node: string): string | typeof REFUSED => GOOD;
  const ask: AskLike = async (_model, { prompt }, to) => {
    const node = to.slice('link/'.length);
    asked.push({ node, prompt });
    const said = answer(node);
    return typeof said === 'string' ? { status: 200, code: null, text: said, ttftMs: 5 } : said;
  };
  const book = await LikenessBook.open({ database, clock, log: silentLog });
  leaving.push(() => book.close());
  const random = seededRandomness(++houses);
  const open = () => {
    const rounds = new LikenessRounds({
      clock,
      random,
      ids: makeId,
      log: silentLog,
      hub: hub as never,
      models: { resolve: () => ({ category: 'llm' }) },
      store,
      book,
      settings: { ...DEFAULT_BENCHMARK_SETTINGS, likenessPauseMsMax: 0 },
      fresh: async (prompt, at) =>
        (await new BenchmarkStore(database).markAsked([digestOf({ prompt })], at)).size > 0,
      ask,
    });
    leaving.push(() => rounds.close());
    return rounds;
  };
  const rounds = open();
  /** Makes so many checks come due, and waits for each. */
  const checks = async (count: number, also?: LikenessRounds) => {
    await rounds.look();
    for (let i = 0; i < count; i++) {
      await database.sql`update likeness_turns set due_at = ${new Date(clock.wallMs())} where model_id = ${modelId}`;
      // Later than what any process keeps in mind as due.
      clock.jumpWall(9 * 3_600_000);
      await Promise.all([rounds.look(), also?.look()]);
      await Promise.all([rounds.idle(), also?.idle()]);
    }
  };
  const of = async (node: string) => {
    const records = await Promise.all(providers.map(({ id }) => store.records(id)));
    return records.flat().find(({ nodeId }) => nodeId === `${modelId}/${node}`);
  };
  return {
    modelId,
    clock,
    store,
    book,
    providers,
    asked,
    told,
    rounds,
    open,
    checks,
    of,
    answers: (by: typeof answer) => {
      answer = by;
    },
    findings: () => store.findings({ nodeIds: candidates.map(({ nodeId }) => nodeId) }),
    behind: (node: string) => book.behind(`${modelId}/${node}`, modelId),
  };
}

test('a node that is unlike is found by the thirteenth check, told, put behind, and mended by ten', async () => {
  const { checks, answers, findings, behind, told } = await house([['a'], ['b'], ['c']]);
  answers((node) => (node === 'c' ? OTHER : GOOD));
  await checks(12);
  expect(await findings()).toEqual([]);
  await checks(1);
  expect(await findings()).toMatchObject([{ checks: 13, unlike: 13, ended: null }]);
  expect(behind('c')).toContain('in 13 of 13');
  expect([behind('a'), behind('b')]).toEqual([undefined, undefined]);
  expect(told).toMatchObject([{ event: 'answers_unlike', severity: 'warning' }]);
  answers(() => GOOD);
  await checks(9);
  expect(behind('c')).toBeDefined();
  await checks(1);
  expect(behind('c')).toBeUndefined();
  expect(await findings()).toMatchObject([{ ended: { as: 'mended' } }]);
});

test('a check asks one node of each provider, the same of all, and never the same again', async () => {
  const { checks, asked, of } = await house([['a1', 'a2', 'a3'], ['b'], ['c']]);
  await checks(6);
  expect(asked).toHaveLength(18);
  const prompts = new Map<string, { node: string }[]>();
  for (const each of asked) prompts.set(each.prompt, [...(prompts.get(each.prompt) ?? []), each]);
  expect([...prompts.values()].map((each) => each.length)).toEqual(Array(6).fill(3));
  for (const each of prompts.values())
    expect(each.map(({ node }) => node.charAt(0)).toSorted()).toEqual(['a', 'b', 'c']);
  expect(await of('b')).toMatchObject({ alike: 6, unlike: 0, unclear: 0 });
});

test('three nodes of one provider do not outvote two others, nor is anybody compared with fewer than three', async () => {
  const { checks, answers, asked } = await house([['a1', 'a2', 'a3'], ['b']]);
  answers((node) => (node.startsWith('a') ? GOOD : OTHER));
  await checks(3);
  expect(asked).toEqual([]);
});

test('answers that do not come, or cannot be paid for, teach nothing', async () => {
  const { checks, answers, asked, of, findings } = await house([['a'], ['b'], ['c']]);
  answers((node) => (node === 'c' ? REFUSED : GOOD));
  await checks(14);
  expect(asked).toHaveLength(42);
  expect(await findings()).toEqual([]);
  expect([await of('a'), await of('c')]).toEqual([undefined, undefined]);
});

test('where nobody is like anybody, nobody is unlike', async () => {
  const { checks, answers, of, findings } = await house([['a'], ['b'], ['c']]);
  answers((node) => `${node} `.repeat(20));
  await checks(14);
  expect(await findings()).toEqual([]);
  expect(await of('a')).toMatchObject({ alike: 0, unlike: 0, unclear: 14 });
});

test('of two processes one makes a check', async () => {
  const { checks, open, asked } = await house([['a'], ['b'], ['c']]);
  await checks(5, open());
  expect(asked).toHaveLength(15);
});

describe('a finding', () => {
  const found = async () => {
    const made = await house([['a'], ['b'], ['c']]);
    made.answers((node) => (node === 'c' ? OTHER : GOOD));
    await made.checks(13);
    const [finding] = await made.findings();
    return { ...made, finding, id: finding?.id ?? '' };
  };

  test('that the operator clears ends once, and the node is judged anew', async () => {
    const { store, id, checks, findings, clock, behind, book, finding } = await found();
    const clear = (because: string) => store.clear(id, { at: clock.wallMs(), by: 'cli', because });
    const [first, second] = await Promise.all([clear('A trial.'), clear('A trial.')]);
    expect([first?.ended?.as, second?.ended?.as]).toEqual(['cleared', 'cleared']);
    await book.look([finding?.nodeId ?? '']);
    expect(behind('c')).toBeUndefined();
    await checks(12);
    expect(await findings()).toHaveLength(1);
    await checks(1);
    expect(await findings()).toHaveLength(2);
    expect(await store.clear('unlike_none', { at: 1, by: 'cli', because: 'r' })).toBeUndefined();
    const [noted] = await fresh.database
      .sql`select what, detail from account_events where detail->>'finding' = ${id}`;
    expect(noted).toMatchObject({ what: 'likeness-cleared', detail: { reason: 'A trial.' } });
  });

  test('is over after thirty days, by itself, and kept', async () => {
    const { store, clock, behind, findings, finding } = await found();
    clock.jumpWall(30 * DAY_MS + 1);
    expect(behind('c')).toBeUndefined();
    await store.forget(clock.wallMs(), clock.wallMs() - 90 * DAY_MS);
    expect(await findings()).toMatchObject([{ id: finding?.id, ended: { as: 'expired' } }]);
    await expect(
      fresh.database.sql`delete from likeness_findings where id = ${finding?.id ?? ''}`,
    ).rejects.toThrow('a finding of likeness ends once');
  });

  test('shows what it rests on, to the operator', async () => {
    const { store, id } = await found();
    const shown = await store.show(id);
    expect(shown?.checks).toHaveLength(13);
    expect(shown?.checks[0]?.answers.map(({ verdict }) => verdict).toSorted()).toEqual([
      'alike',
      'alike',
      'unlike',
    ]);
  });
});
