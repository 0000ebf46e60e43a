/** What an attempt really was, as its agent knows it: what the oracles compare everybody's word with. */
export interface AttemptTruth {
  /** Tags every word that this attempt says: `serial.index`. */
  readonly serial: number;
  readonly attemptId: string;
  /** The number of the request, as its prompt says. */
  readonly request: number;
  readonly nodeId: string;
  readonly providerId: string;
  /** Which of its node's connections it came in on. */
  readonly connection: number;
  /** Its frames carry its id, and not a number of their connection. */
  readonly named: boolean;
  readonly behaviour: string;
  readonly startedMs: number;
  words: number;
  /** How many words the whole answer had, once it was said to its finish. */
  wholeWords: number | undefined;
  /** What the agent stated, when it stated the truth. */
  honestUsage: { inputTokens: number; outputTokens: number } | undefined;
  cancelHeard: boolean;
  over: boolean;
}

/** A job in an agent's hands. */
export interface AgentJob {
  readonly truth: AttemptTruth;
  /** What the dialect calls it: an attempt id, or the number of a stream. */
  readonly key: string;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly promptWords: number;
  /** The names that a stream's events must carry. */
  readonly names: { readonly completion: string; readonly created: number; readonly model: string };
  /** Credit left (the binary extension only). */
  credit: number;
  /** Goes on when credit comes. */
  resume: (() => void) | undefined;
}

/** What any agent can say about a job, whatever its dialect. */
export interface Voice {
  role(job: AgentJob): void;
  /** The next `count` words, one event each. False when there is no credit: say it again later. */
  words(job: AgentJob, count: number): boolean;
  /** One word of this many characters. */
  longWord(job: AgentJob, chars: number): void;
  /** A piece of an answer with names that are not its own. */
  strangeNames(job: AgentJob): void;
  finish(job: AgentJob, reason: string): void;
  usage(job: AgentJob, stated: Stated): void;
  troubleChunk(job: AgentJob): void;
  /** The end of an answer that nobody finished. */
  cutShort(job: AgentJob): void;
  /** The end of a stream, or of an unstreamed job that failed. */
  end(job: AgentJob, about: { status?: number; error?: string; stated?: Stated }): void;
  /** The whole answer to an unstreamed job. */
  result(job: AgentJob, words: number, stated: Stated | undefined): void;
  /** Frames about attempts that are not this agent's. */
  foreign(attemptId: string): void;
  garbage(): void;
  cutLink(): void;
  /** Drops the connection and dials again, going on with what it was saying. */
  vanish(): void;
}

/** Counts as a provider states them: not always numbers. */
export interface Stated {
  readonly input: unknown;
  readonly output: unknown;
}

/** The words from `from`, as the attempt says them. */
export function wordsOf(truth: AttemptTruth, from: number, count: number): string {
  let text = '';
  const tag = truth.serial.toString(36);
  for (let i = from; i < from + count; i++) text += `${tag}.${i} `;
  return text;
}
