import { describe, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import type { Candidate } from '#routing/candidate.ts';
import { candidate } from '#support/candidate.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { isRight, judgeProbe, makeQuestion, type ProbeAnswer, type ProbeQuestion } from './probe-check.ts';
import { Probes } from './probes.ts';

const good = (question: ProbeQuestion): ProbeAnswer => ({
  status: 200,
  code: null,
  text: `Sure: "${question.word.toUpperCase()}".`,
  ttftMs: 40,
  ttltMs: 90,
});
const wrong = (): ProbeAnswer => ({ status: 200, code: null, text: 'banana', ttftMs: 40, ttltMs: 90 });
const refusal = (code: string): ProbeAnswer => ({ status: 503, code, text: '', ttftMs: null, ttltMs: 5 });
const gone: ProbeAnswer = { status: 0, code: null, text: '', ttftMs: null, ttltMs: 5 };

/** There is no other gateway. */
const ALONE = { passed: () => {}, leads: () => true, tell: () => {} } as const;

type Behaviour = (question: ProbeQuestion) => ProbeAnswer;

/** A market with candidates of one model, each answering as it is told to. */
function market(behaviours: Record<string, Behaviour>, door: Behaviour = good) {
  const clock = new VirtualClock();
  const fleet = Object.keys(behaviours).map((id) => candidate(id, { region: 'eu' }));
  const asked: { atMs: number; to: string | undefined; question: ProbeQuestion }[] = [];
  const shut: string[] = [];
  const doorProbes: boolean[] = [];
  const regions: boolean[] = [];
  const probes = new Probes({
    clock,
    random: seededRandomness(5),
    log: silentLog,
    models: () => ['m'],
    candidates: () => fleet,
    ask: async (_model, question, to) => {
      asked.push({ atMs: clock.nowMs(), to, question });
      const which = fleet.find(({ id }) => id === to);
      return which ? (behaviours[which.nodeId.replace('node-', '')] as Behaviour)(question) : door(question);
    },
    signals: { probed: ({ region, ok }) => (region === '' ? doorProbes : regions).push(ok) },
    keep: () => {},
    shutOut: (which: Candidate) => {
      shut.push(which.id);
      which.breaker.state = 'open';
      which.breaker.openUntilMs = clock.nowMs() + 100_000;
    },
    ...ALONE,
  });
  return { clock, fleet, asked, shut, doorProbes, regions, probes, behaviours };
}

const ids = (fleet: Candidate[]): string[] => fleet.map(({ id }) => id);

describe('probing', () => {
  test('asks every model every 30 to 60 seconds, through the door and straight to each candidate', async () => {
    const { clock, asked, fleet } = market({ a: good, b: good });
    await clock.advance(10 * 60_000);
    const atDoor = asked.filter(({ to }) => to === undefined);
    const gaps = atDoor.slice(1).map(({ atMs }, i) => atMs - (atDoor[i]?.atMs ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(30_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(61_000);
    for (const id of ids(fleet)) expect(asked.filter(({ to }) => to === id)).toHaveLength(atDoor.length);
    expect(new Set(asked.map(({ question }) => question.word)).size).toBeGreaterThan(asked.length / 2);
  });

  test('takes a candidate that fails out of rotation within two probes, and asks it again when a trial is due', async () => {
    const { clock, asked, shut, fleet, behaviours } = market({ a: good, b: () => gone });
    const toB = () => asked.filter(({ to }) => to === fleet[1]?.id).length;
    await clock.advance(125_000);
    expect(toB()).toBe(2);
    expect(shut).toEqual([fleet[1]?.id]);
    // While the circuit is open it is left alone.
    await clock.advance(60_000);
    expect(toB()).toBe(2);
    behaviours['b'] = good;
    await clock.advance(120_000);
    expect(toB()).toBeGreaterThan(2);
    expect(shut).toHaveLength(1);
  });

  test('keeps what it last found of a candidate, for whoever asks why no requests come', async () => {
    const { clock, fleet, probes, behaviours } = market({ a: good, b: () => gone });
    const [a, b] = fleet as [Candidate, Candidate];
    expect(probes.lastOf(a)).toBeUndefined();
    await clock.advance(61_000);
    expect(probes.lastOf(a)).toMatchObject({ ok: true, because: undefined, ttftMs: 40 });
    expect(probes.lastOf(b)).toMatchObject({ ok: false, because: 'no answer came', ttftMs: null });
    behaviours['b'] = good;
    await clock.advance(300_000);
    expect(probes.lastOf(b)?.ok).toBe(true);
  });

  test('holds a wrong answer against a candidate once its model is known to be right', async () => {
    const { clock, shut, fleet, behaviours } = market({ a: good, b: good });
    await clock.advance(5 * 60_000);
    behaviours['b'] = wrong;
    await clock.advance(130_000);
    expect(shut).toContain(fleet[1]?.id);
    // It goes on being wrong for an hour, and the bar stays where it was.
    await clock.advance(3_600_000);
    expect(shut).not.toContain(fleet[0]?.id);
    expect(shut.filter((id) => id === fleet[1]?.id).length).toBeGreaterThan(5);
  });

  test('does not blame anybody for a model that is too small to repeat a word', async () => {
    const { clock, shut, doorProbes } = market({ a: wrong, b: wrong }, wrong);
    await clock.advance(30 * 60_000);
    expect(shut).toEqual([]);
    expect(doorProbes).not.toContain(false);
  });

  test('tells the rules of each failure at the door, and of a region only when everybody there fails', async () => {
    const { clock, doorProbes, regions } = market({ a: good, b: () => gone }, () =>
      refusal('all_providers_busy'),
    );
    await clock.advance(5 * 60_000);
    expect(new Set(doorProbes)).toEqual(new Set([false]));
    expect(regions).not.toContain(false);
  });

  test('waits ten minutes when its allowance is used up, and blames nobody', async () => {
    const { clock, asked, shut, doorProbes } = market({ a: () => refusal('insufficient_balance') }, () => ({
      ...refusal('insufficient_balance'),
      status: 402,
    }));
    await clock.advance(9 * 60_000);
    expect(asked).toHaveLength(1);
    await clock.advance(3 * 60_000);
    expect(asked).toHaveLength(2);
    expect([shut, doorProbes]).toEqual([[], []]);
  });

  test('never asks more than 40 times a minute, however many candidates there are', async () => {
    const clock = new VirtualClock();
    let count = 0;
    const fleet = new Map(
      Array.from({ length: 200 }, (_, i) => [`m${i}`, [candidate(`a${i}`), candidate(`b${i}`)]]),
    );
    const probes = new Probes({
      clock,
      random: seededRandomness(5),
      log: silentLog,
      models: () => fleet.keys(),
      candidates: (modelId) => fleet.get(modelId) ?? [],
      ask: async (_model, question) => {
        count += 1;
        return good(question);
      },
      signals: { probed: () => {} },
      keep: () => {},
      shutOut: () => {},
      ...ALONE,
    });
    await clock.advance(10 * 60_000);
    expect(count).toBeLessThanOrEqual(11 * 40);
    probes.close();
    const before = count;
    await clock.advance(5 * 60_000);
    expect(count).toBe(before);
  });
});

describe('the check of an answer', () => {
  const question = makeQuestion(seededRandomness(1));
  const look = (answer: ProbeAnswer, about = { one: true, rightIsUsual: true }): string =>
    judgeProbe(question, answer, about).verdict;

  test('finds the word whatever stands around it', () => {
    expect(isRight(question, `  **${question.word.slice(0, 2)}-${question.word.slice(2)}**!\n`)).toBe(true);
    expect(isRight(question, 'banana')).toBe(false);
  });

  test('asserts the status, the time to the first and to the last token, and the word', () => {
    expect(look(good(question))).toBe('ok');
    expect(look({ ...good(question), ttftMs: 10_001 })).toBe('failed');
    expect(look({ ...good(question), ttltMs: 30_001 })).toBe('failed');
    expect(look({ ...good(question), text: '' })).toBe('failed');
    expect(look(wrong())).toBe('failed');
    expect(look(wrong(), { one: true, rightIsUsual: false })).toBe('ok');
    expect(look({ ...good(question), code: 'cut_off' })).toBe('failed');
    expect(look({ status: 400, code: 'invalid_value', text: '', ttftMs: null, ttltMs: 1 })).toBe('failed');
  });

  test('a full or departed candidate is not at fault; a market that is full is', () => {
    for (const code of ['all_providers_busy', 'no_provider_available']) {
      expect(look(refusal(code))).toBe('neutral');
      expect(look(refusal(code), { one: false, rightIsUsual: true })).toBe('failed');
    }
    expect(look(refusal('shutting_down'))).toBe('neutral');
  });
});
