import { beforeEach, describe, expect, test } from 'vitest';
import { idMaker } from '#kit/id.ts';
import { seededRandomness } from '#kit/random.ts';
import type { Candidate } from '#routing/candidate.ts';
import { candidate } from '#support/candidate.ts';
import { FakeLink } from '#support/fake-link.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { GATHERED_INPUTS_MAX, Gatherer } from './gather.ts';
import type { Attempt, AttemptEnd, Job } from './link.ts';

let clock: VirtualClock;
let node: Candidate;
let link: FakeLink;
let gatherer: Gatherer;
let held: number;
let number: number;

beforeEach(() => {
  clock = new VirtualClock();
  node = candidate('a');
  link = new FakeLink('a');
  held = 0;
  number = 0;
  gatherer = new Gatherer({
    clock,
    ids: idMaker(clock, seededRandomness(1)),
    settings: { windowMs: 20 },
    hold: () => {
      held += 1;
      return () => {
        held -= 1;
      };
    },
  });
});

interface Asked {
  readonly sink: RecordedSink;
  readonly attempt: Attempt;
}

function ask(input: string | readonly string[], fields: Record<string, unknown> = {}): Asked {
  const inputs = typeof input === 'string' ? [input] : input;
  number += 1;
  const job: Job = {
    attemptId: `att_own${number}`,
    modelId: 'model',
    completionId: `chatcmpl-${number}`,
    createdS: 0,
    operation: 'embeddings',
    expects: { items: inputs.length },
    stream: false,
    body: Buffer.from(JSON.stringify({ model: 'alias', input, ...fields })),
    set: { model: 'model' },
    deadlineMs: 1_000 * number,
    gather: { key: JSON.stringify(fields), fields, inputs },
  };
  const sink = new RecordedSink();
  return { sink, attempt: gatherer.over(node, link).start(job, sink) };
}

const inputsOf = (at: number): string[] => {
  const { input } = JSON.parse(link.jobs[at]?.job.body.toString() ?? '{}') as { input: string | string[] };
  return typeof input === 'string' ? [input] : input;
};

/** Answers call `at`: the vector of a text is its length, and a character is a token. */
function answer(at: number, about: { tells?: boolean; counts?: number[]; total?: number } = {}): void {
  const texts = inputsOf(at);
  const counts = about.counts ?? texts.map((text) => text.length);
  const total = about.total ?? counts.reduce((sum, each) => sum + each, 0);
  const whole = {
    object: 'list',
    model: 'model',
    data: texts.map((text, index) => ({ object: 'embedding', index, embedding: [text.length] })),
    usage: {
      prompt_tokens: total,
      total_tokens: total,
      ...(about.tells !== false && { prompt_tokens_per_input: counts }),
    },
  };
  link.jobs[at]?.sink.result(Buffer.from(JSON.stringify(whole)), whole);
  end(at, { outcome: 'completed', usage: { inputTokens: total, outputTokens: 0 } });
}

function end(at: number, about: Partial<AttemptEnd> & Pick<AttemptEnd, 'outcome'>): void {
  link.jobs[at]?.sink.end({ usage: undefined, inner: undefined, errorCode: undefined, ...about });
}

/** The candidate is seen to tell tokens for each input, and a call of its is under way: number 1. */
async function busyTeller(): Promise<void> {
  ask('first');
  answer(0);
  ask('second');
  await clock.advance(0);
  expect(link.jobs).toHaveLength(2);
}

describe('when a call leaves', () => {
  test('alone and unchanged at a candidate that was not seen to tell what each input took', async () => {
    ask('one');
    ask('two');
    expect(link.jobs.map(({ job }) => job.attemptId)).toEqual(['att_own1', 'att_own2']);
    answer(0, { tells: false });
    ask('three');
    expect(link.jobs).toHaveLength(3);
    expect(gatherer.counts.calls).toBe(0);
  });

  test('at the end of the turn while nothing is under way, and a lone request byte for byte', async () => {
    ask('first');
    answer(0);
    const lone = ask('lone');
    expect(held).toBe(1);
    await clock.advance(0);
    expect(link.jobs[1]?.job).toMatchObject({ attemptId: 'att_own2', set: { model: 'model' } });
    expect(link.jobs[1]?.job.body.toString()).toBe('{"model":"alias","input":"lone"}');
    expect(held).toBe(0);
    answer(1);
    expect(lone.sink.ending?.outcome).toBe('completed');
  });

  test('behind another call when the window is over, in one place', async () => {
    await busyTeller();
    ask('third');
    ask(['fourth', 'fifth!']);
    await clock.advance(19);
    expect(link.jobs).toHaveLength(2);
    expect(held).toBe(1);
    await clock.advance(1);
    expect(link.jobs).toHaveLength(3);
    expect(held).toBe(0);
    expect(inputsOf(2)).toEqual(['third', 'fourth', 'fifth!']);
    expect(link.jobs[2]?.job).toMatchObject({ expects: { items: 3 }, deadlineMs: 3_000 });
    expect(link.jobs[2]?.job.gather).toBeUndefined();
  });

  test('as soon as the call before it has ended', async () => {
    await busyTeller();
    ask('third');
    ask('fourth');
    answer(1);
    await clock.advance(0);
    expect(inputsOf(2)).toEqual(['third', 'fourth']);
  });

  test('when it is full, and at other options, before its time', async () => {
    await busyTeller();
    for (let n = 0; n < GATHERED_INPUTS_MAX + 1; n++) ask(`text ${n}`);
    expect(inputsOf(2)).toHaveLength(GATHERED_INPUTS_MAX);
    ask('shorter', { dimensions: 8 });
    expect(inputsOf(3)).toEqual([`text ${GATHERED_INPUTS_MAX}`]);
    expect(link.jobs).toHaveLength(4);
  });

  test('and says to routing what it still takes', async () => {
    await busyTeller();
    expect(node.gathering).toBeUndefined();
    const { attempt } = ask('third');
    expect(node.gathering).toMatchObject({ key: '{}', inputs: GATHERED_INPUTS_MAX - 1 });
    attempt.cancel('consumer_disconnected');
    expect(node.gathering).toBeUndefined();
    expect(held).toBe(0);
  });
});

describe('what comes of a shared call', () => {
  async function shared(...texts: string[]): Promise<Asked[]> {
    await busyTeller();
    const asked = texts.map((text) => ask(text));
    await clock.advance(20);
    return asked;
  }

  test('gives each request its own vectors and its own tokens, which add up to what was stated', async () => {
    const asked = await shared('a', 'bb', 'cccc');
    answer(2);
    expect(asked.map(({ sink }) => sink.completion?.['data'])).toEqual([
      [{ object: 'embedding', index: 0, embedding: [1] }],
      [{ object: 'embedding', index: 0, embedding: [2] }],
      [{ object: 'embedding', index: 0, embedding: [4] }],
    ]);
    expect(asked.map(({ sink }) => sink.ending?.usage?.inputTokens)).toEqual([1, 2, 4]);
    expect(gatherer.counts).toEqual({ calls: 1, requests: 3, alone: 0 });
  });

  test.each([
    ['that do not add up', { counts: [1, 2, 4], total: 8 }],
    ['for another number of inputs', { counts: [3, 4], total: 7 }],
    ['that are none', { counts: [-1, 4, 4], total: 7 }],
    ['that are missing', { tells: false }],
  ])('is not billed by counts %s: each is asked again alone', async (_, about) => {
    const asked = await shared('a', 'bb', 'cccc');
    answer(2, about);
    expect(asked.every(({ sink }) => sink.ending === undefined)).toBe(true);
    for (const at of [3, 4, 5]) answer(at, { tells: false });
    expect(asked.map(({ sink }) => sink.ending?.usage?.inputTokens)).toEqual([1, 2, 4]);
  });

  test('refused for one bad input, is tried one by one in the same place, and fails the bad one alone', async () => {
    const asked = await shared('a', 'bad', 'cccc');
    end(2, { outcome: 'refused', errorCode: 'prompt-too-long' });
    expect(link.jobs).toHaveLength(4);
    answer(3);
    expect(link.jobs).toHaveLength(5);
    end(4, { outcome: 'refused', errorCode: 'prompt-too-long' });
    answer(5);
    expect(asked.map(({ sink }) => sink.ending?.outcome)).toEqual(['completed', 'refused', 'completed']);
    expect(link.jobs.slice(3).map(({ job }) => job.attemptId)).toEqual(['att_own3', 'att_own4', 'att_own5']);
  });

  test('refused once, keeps the next ones apart for a while', async () => {
    await shared('a', 'bad');
    end(2, { outcome: 'refused' });
    ask('x');
    ask('y');
    expect(link.jobs).toHaveLength(6);
    answer(3);
    answer(4);
    answer(5);
    // The second of the two came after the first.
    expect(link.jobs).toHaveLength(7);
    await clock.advance(10_000);
    ask('later');
    expect(link.jobs).toHaveLength(7);
  });

  test.each(['lost', 'busy'] as const)(
    '%s, ends so for each, who goes on by its own rules',
    async (outcome) => {
      const asked = await shared('a', 'bb');
      end(2, { outcome, errorCode: 'provider-cut-off' });
      expect(asked.map(({ sink }) => sink.ending?.outcome)).toEqual([outcome, outcome]);
      expect(link.jobs).toHaveLength(3);
    },
  );

  test('goes on for the others when one leaves, and stops when all have left', async () => {
    const [a, b] = (await shared('a', 'bb')) as [Asked, Asked];
    a.attempt.cancel('consumer_disconnected');
    expect(a.sink.ending).toMatchObject({ outcome: 'cancelled', usage: undefined });
    expect(link.jobs[2]?.cancelled).toBeUndefined();
    answer(2);
    expect(a.sink.completion).toBeUndefined();
    expect(b.sink.ending?.usage?.inputTokens).toBe(2);

    const both = [ask('c'), ask('dd')];
    await clock.advance(20);
    for (const { attempt } of both) attempt.cancel('consumer_disconnected');
    expect(link.jobs[3]?.cancelled).toBe('consumer_disconnected');
    end(3, { outcome: 'cancelled' });
    expect(both.map(({ sink }) => sink.ending?.outcome)).toEqual(['cancelled', 'cancelled']);
  });

  test('who leaves while it is gathered is not in it', async () => {
    await busyTeller();
    const { attempt } = ask('gone');
    ask('here');
    ask('too');
    attempt.cancel('consumer_disconnected');
    await clock.advance(20);
    expect(inputsOf(2)).toEqual(['here', 'too']);
  });
});
