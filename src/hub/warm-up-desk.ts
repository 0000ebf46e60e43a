import type { Clock, Timer } from '#kit/clock.ts';
import { type Envelope, encodeMessage, warmupResultSchema } from '#wire/agent/messages.ts';

/**
 * The warm-ups that one agent was asked for. An agent answers with an `ack` under the id of the question (Swan contract
 * 1.11): what else such an ack could be about is told apart by the id, which has a prefix of its own.
 */
export class WarmUpDesk {
  readonly #clock: Clock;
  readonly #send: (message: string) => void;
  readonly #asked = new Map<string, { timer: Timer; answered: (answer: WarmUpAnswer) => void }>();

  constructor(parts: { clock: Clock; send: (message: string) => void }) {
    this.#clock = parts.clock;
    this.#send = parts.send;
  }

  /** Asks for a warm-up of the model that the agent calls `name`. Never rejects. */
  ask(id: string, name: string): Promise<WarmUpAnswer> {
    return new Promise((resolve) => {
      const answered = (answer: WarmUpAnswer): void => {
        this.#asked.delete(id);
        timer.cancel();
        resolve(answer);
      };
      // Generation A has no time limit of its own, and an answer may have been dropped on the way.
      const timer = this.#clock.after(ANSWER_MS_MAX, () => answered('unanswered'));
      this.#asked.set(id, { timer, answered });
      this.#send(encodeMessage('warmup', id, { request_id: id, model_id: name, warmup_type: 'inference' }));
    });
  }

  /** Takes an `ack` about a warm-up. `late` when nobody waits for it any more. */
  take(id: string, message: Envelope): 'known' | 'late' | 'malformed' {
    const asked = this.#asked.get(id);
    if (!asked) return 'late';
    const parsed = warmupResultSchema.safeParse(message.payload);
    if (!parsed.success) return 'malformed';
    asked.answered(parsed.data.success ? 'warm' : 'failed');
    return 'known';
  }

  /** The agent is gone. */
  lost(): void {
    for (const { answered } of this.#asked.values()) answered('unanswered');
  }
}

/** What came of it. `unanswered` says nothing about the model. */
export type WarmUpAnswer = 'warm' | 'failed' | 'unanswered';

export const WARM_UP_ID = 'warm';
const ANSWER_MS_MAX = 180_000;
