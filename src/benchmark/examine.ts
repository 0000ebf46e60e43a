import { type Attempt, type Link, ONE_ANSWER } from '#hub/link.ts';
import type { Clock } from '#kit/clock.ts';
import { SseReader } from '#kit/sse-reader.ts';
import type { Reply } from './grade.ts';
import type { Question } from './tasks/question.ts';

/**
 * Asks one question on one link, as a consumer's streamed chat request would come: the same message, the same fields, an
 * attempt id like any other. Nobody pays for it and no usage is written. What the link's own side could not help
 * (turned away for lack of room, connection lost) is no answer and no failure: `nothing-learnt`.
 */
export function ask(
  link: Link,
  question: Question,
  about: {
    readonly modelId: string;
    readonly attemptId: string;
    readonly completionId: string;
    readonly temperature: number | undefined;
    readonly clock: Clock;
    readonly withinMs: number;
    /** Gives up what is being asked; nothing is learnt then. */
    readonly signal: AbortSignal;
  },
): Promise<Reply | 'nothing-learnt'> {
  const { clock, modelId, temperature, withinMs, signal } = about;
  const { prompt, maxTokens } = question;
  const beganMs = clock.nowMs();
  const bytesMax = Math.min(TEXT_BYTES_MAX, maxTokens * TOKEN_BYTES_MAX);
  return new Promise((resolve) => {
    let text = '';
    let ttftMs: number | null = null;
    let over: 'late' | 'too-long' | undefined;
    let isOver = false;
    let attempt: Attempt | undefined;
    const reply = (end: Reply['end']): Reply => ({ text, end, ttftMs, durationMs: clock.nowMs() - beganMs });
    const finish = (what: Reply | 'nothing-learnt'): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      signal.removeEventListener('abort', giveUp);
      resolve(what);
    };
    const stop = (why: 'late' | 'too-long'): void => {
      if (over || isOver) return;
      over = why;
      finish(reply(why));
      attempt?.cancel('attempt_timeout');
    };
    const giveUp = (): void => {
      finish('nothing-learnt');
      attempt?.cancel('shutting_down');
    };
    signal.addEventListener('abort', giveUp);
    const timer = clock.after(withinMs, () => stop('late'));
    const reader = new SseReader(
      (data) => {
        const piece = contentOf(data);
        if (piece === '') return;
        ttftMs ??= clock.nowMs() - beganMs;
        if (text.length + piece.length <= bytesMax) text += piece;
        else stop('too-long');
      },
      { eventBytesMax: TEXT_BYTES_MAX },
    );
    const fields = {
      model: modelId,
      messages: [{ role: 'user', content: prompt }],
      stream: true,
      max_tokens: maxTokens,
      ...(temperature !== undefined && { temperature }),
    };
    attempt = link.start(
      {
        attemptId: about.attemptId,
        modelId,
        completionId: about.completionId,
        createdS: Math.floor(clock.wallMs() / 1_000),
        operation: 'chat/completions',
        expects: ONE_ANSWER,
        stream: true,
        body: Buffer.from(JSON.stringify(fields)),
        set: {},
        deadlineMs: withinMs,
      },
      {
        data: (events) => {
          // Taken at once: a benchmark makes nobody wait.
          attempt?.consumed(events.length);
          if (!isOver && !reader.push(events)) stop('too-long');
        },
        result: () => {},
        end: ({ outcome }) => {
          if (outcome === 'busy' || outcome === 'lost' || outcome === 'cancelled') finish('nothing-learnt');
          else finish(reply(outcome === 'completed' ? 'whole' : 'failed'));
        },
      },
    );
    // It may have been over before it began to count.
    if (over) attempt.cancel('attempt_timeout');
  });
}

const TEXT_BYTES_MAX = 65_536;
/** Longer tokens are rare, and an answer of nothing else is none that was asked for. */
const TOKEN_BYTES_MAX = 24;

/** What an event adds to the answer. */
function contentOf(data: Buffer): string {
  let chunk: unknown;
  try {
    chunk = JSON.parse(data.toString());
  } catch {
    return '';
  }
  const { choices } = (chunk ?? {}) as { choices?: { delta?: { content?: unknown } }[] };
  const content = Array.isArray(choices) ? choices[0]?.delta?.content : undefined;
  return typeof content === 'string' ? content : '';
}
