import { describe, expect, it } from 'vitest';
import { type AttemptEvent, type Phase, stepAttempt } from './attempt-state.ts';

const EVENTS: readonly AttemptEvent[] = [
  'content', 'mark', 'trouble', 'end-whole', 'end-cut', 'end-error', 'result', 'result-error', 'violation', 'cancel', 'abandon', 'expire', 'lost',
];

/** One row per phase, one cell per event in the order above: `effect`, with `>phase` where it changes. */
const TABLE: Readonly<Record<Phase, string>> = {
  waiting:
    'deliver>streaming none>marked none>failing empty>ended empty>ended refuse>ended complete>ended refuse>ended violate>ended ask-stop>cancelling cancelled>ended none lost>ended',
  streaming:
    'deliver none>marked none>failing complete>ended cut-off>ended cut-off>ended violate>ended cut-off>ended violate>ended ask-stop>cancelling cancelled>ended none lost>ended',
  marked:
    'drop drop none>failing complete>ended empty>ended cut-off>ended violate>ended cut-off>ended violate>ended ask-stop>cancelling cancelled>ended none lost>ended',
  failing:
    'drop none none refuse>ended refuse>ended refuse>ended violate>ended refuse>ended violate>ended ask-stop>cancelling cancelled>ended none lost>ended',
  cancelling:
    'drop drop drop cancelled>ended cancelled>ended cancelled>ended cancelled>ended cancelled>ended cancelled>ended none cancelled>ended cancelled>ended cancelled>ended',
  ended: 'drop drop drop drop drop drop drop drop drop none none none none',
};

describe('an attempt', () => {
  for (const phase of Object.keys(TABLE) as Phase[]) {
    it(`while ${phase} meets every event as the table says`, () => {
      const row = EVENTS.map((event) => {
        const step = stepAttempt(phase, event);
        return step.phase === phase ? step.effect : `${step.effect}>${step.phase}`;
      });
      expect(row.join(' ')).toBe(TABLE[phase]);
    });
  }

  it('that has ended never does anything again', () => {
    for (const event of EVENTS) {
      const { phase, effect } = stepAttempt('ended', event);
      expect(phase).toBe('ended');
      expect(['drop', 'none']).toContain(effect);
    }
  });
});
