import type { Chance } from '../chance.ts';
import type { AgentJob, Stated, Voice } from './job.ts';

/**
 * How an agent answers one job, as a list of things to say and the waits before them. The same behaviours are told in
 * every dialect.
 */
export interface Step {
  readonly afterMs: number;
  /** False: could not be said now (no credit); it is tried again when there is some. */
  readonly say: (voice: Voice, job: AgentJob) => boolean | undefined | void;
}

export const BEHAVIOURS = [
  'good',
  'long',
  'slow-first-token',
  'silent',
  'stalls',
  'breaks',
  'cuts',
  'trouble-chunk',
  'over-claims',
  'lies',
  'says-no-usage',
  'ends-twice',
  'foreign-frames',
  'strange-names',
  'busy',
  'refuses',
  'misses-model',
  'empty',
  'garbage',
  'ignores-limit',
  'floods',
  'cuts-link',
  'vanishes',
] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

/** What a liar writes where a count should stand. */
const LIES: readonly unknown[] = [
  -5,
  1.5,
  1e308,
  Number.NaN,
  '12',
  null,
  true,
  [],
  {},
  -0.5,
  9e15,
  '9'.repeat(400),
];

/** What else an agent of the world can be asked about: ids of attempts that are another's. */
export interface Gossip {
  attemptOfAnother(nodeId: string): string | undefined;
}

export function planFor(behaviour: Behaviour, job: AgentJob, chance: Chance, gossip: Gossip): Step[] {
  const most = Math.max(1, job.maxTokens);
  const length = behaviour === 'long' ? chance.whole(12, 40) : chance.whole(1, 9);
  const count = behaviour === 'ignores-limit' ? most + chance.whole(1, 5) : Math.min(length, most);
  const first = chance.ms(1, 25);
  const honest: Stated = { input: job.promptWords, output: count };

  switch (behaviour) {
    case 'silent':
      return [];
    case 'busy':
      return failure(first, 429, 'busy');
    case 'refuses':
      return failure(first, 400, 'this prompt has no place here');
    case 'misses-model':
      return failure(first, 404, 'model not found');
    case 'slow-first-token':
      return answer(job, chance, { first: chance.ms(800, 3_000), count, stated: honest, honest: true });
    case 'over-claims': {
      const factor = chance.one([2, 3, 50, 1_000]);
      const stated = { input: job.promptWords * chance.one([1, factor]), output: count * factor };
      return answer(job, chance, { first, count, stated, honest: false });
    }
    case 'lies':
      return answer(job, chance, {
        first,
        count,
        stated: { input: chance.one(LIES), output: chance.one(LIES) },
        honest: false,
      });
    case 'says-no-usage':
      return answer(job, chance, { first, count, stated: undefined, honest: false });
    case 'ignores-limit':
      return answer(job, chance, { first, count, stated: { ...honest, output: count }, honest: false });
    case 'strange-names':
      return [
        { afterMs: first, say: (voice, it) => voice.strangeNames(it) },
        ...answer(job, chance, { first: 0, count, stated: honest, honest: false }),
      ];
    case 'empty':
      return [
        {
          afterMs: first,
          say: (voice, it) => {
            if (it.stream) {
              voice.role(it);
              // With a finish it is an answer of no words; without one it is no answer.
              if (count > 4) {
                it.truth.wholeWords = 0;
                voice.finish(it, 'stop');
              }
              voice.end(it, {});
            } else voice.end(it, { status: 500, error: 'nothing' });
          },
        },
      ];
    case 'garbage':
      return [{ afterMs: first, say: (voice) => voice.garbage() }, ...good()];
    case 'foreign-frames':
      return [
        {
          afterMs: first,
          say: (voice, it) => {
            voice.foreign('att_guess');
            const other = gossip.attemptOfAnother(it.truth.nodeId);
            if (other !== undefined) voice.foreign(other);
          },
        },
        ...good(),
      ];
    case 'ends-twice':
      return [
        ...good(),
        {
          afterMs: chance.ms(0, 5),
          say: (voice, it) => {
            voice.end(it, {});
            voice.words(it, 1);
            voice.end(it, { status: 500, error: 'again' });
          },
        },
      ];
    case 'floods':
      return [
        { afterMs: first, say: (voice, it) => voice.longWord(it, 9_000) },
        ...answer(job, chance, { first: 0, count, stated: honest, honest: false }),
      ];
    case 'stalls':
      return opening();
    case 'breaks':
      return [...opening(), ...failure(chance.ms(0, 10), 500, 'CUDA out of memory')];
    case 'cuts':
      return [...opening(), { afterMs: chance.ms(0, 10), say: (voice, it) => voice.cutShort(it) }];
    case 'trouble-chunk':
      return [
        ...opening(),
        {
          afterMs: chance.ms(0, 10),
          say: (voice, it) => {
            voice.troubleChunk(it);
            voice.end(it, {});
          },
        },
      ];
    case 'cuts-link':
      return [...opening(), { afterMs: chance.ms(0, 10), say: (voice) => voice.cutLink() }];
    case 'vanishes':
      return [
        ...opening(),
        { afterMs: chance.ms(0, 10), say: (voice) => voice.vanish() },
        ...answer(job, chance, { first: chance.ms(0, 40), count: 1, stated: honest, honest: false }),
      ];
    default:
      return good();
  }

  function good(): Step[] {
    return answer(job, chance, { first, count, stated: honest, honest: true });
  }

  /** A few words of what would have been more. */
  function opening(): Step[] {
    if (!job.stream) return [{ afterMs: first, say: () => undefined }];
    const steps: Step[] = [{ afterMs: first, say: (voice, it) => voice.role(it) }];
    const said = chance.whole(0, 3);
    if (said > 0) steps.push({ afterMs: chance.ms(0, 8), say: (voice, it) => voice.words(it, said) });
    return steps;
  }
}

function failure(afterMs: number, status: number, error: string): Step[] {
  return [{ afterMs, say: (voice, job) => voice.end(job, { status, error }) }];
}

/** A whole answer: the role, the words in bursts, the finish, the usage, the end. */
function answer(
  job: AgentJob,
  chance: Chance,
  about: { first: number; count: number; stated: Stated | undefined; honest: boolean },
): Step[] {
  const { first, count, stated, honest } = about;
  const remember = (it: AgentJob): void => {
    it.truth.wholeWords = it.stream ? it.truth.words : count;
    if (honest) it.truth.honestUsage = { inputTokens: it.promptWords, outputTokens: count };
  };
  if (!job.stream) {
    return [
      {
        afterMs: first + count * chance.ms(1, 4),
        say: (voice, it) => {
          remember(it);
          voice.result(it, count, stated);
        },
      },
    ];
  }
  const steps: Step[] = [];
  const withRole = chance.yes(0.7);
  let left = count;
  let wait = first;
  let begun = false;
  while (left > 0) {
    const burst = Math.min(left, chance.whole(1, 4));
    const role = withRole && !begun;
    begun = true;
    let roleSaid = !role;
    steps.push({
      afterMs: wait,
      say: (voice, it) => {
        if (!roleSaid) voice.role(it);
        roleSaid = true;
        return voice.words(it, burst);
      },
    });
    left -= burst;
    wait = chance.ms(1, 12);
  }
  steps.push({
    afterMs: chance.ms(0, 3),
    say: (voice, it) => {
      remember(it);
      voice.finish(it, 'stop');
      if (stated) voice.usage(it, stated);
      voice.end(it, stated ? { stated } : {});
    },
  });
  return steps;
}
