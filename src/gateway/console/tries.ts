import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { Throttle } from './throttle.ts';

/**
 * What is tried again and again by who guesses or floods, and how often it may be: so many at once, then one in each stretch.
 * In one process it lives in memory; many gateways share it behind the same face (`shared-tries.ts`), because whoever may
 * try so often at each of ten gateways may try ten times as often.
 */
export interface Tries {
  /**
   * Notes a try under each of these names, where all of them may try now, and under none otherwise. Answers how to take it
   * back. Throws `tried-too-often`, which says when to come again.
   */
  take(names: readonly Try[]): Promise<() => void>;
}

export interface Try {
  readonly kind: TryKind;
  /** Whose: an address, an account, both. */
  readonly name: string;
}

export interface TryRate {
  readonly burst: number;
  readonly everyMs: number;
}

/** Guessed passwords and codes by place and account together, by account, and by place; then what makes something by place. */
export const TRY_RATES = {
  'guess-pair': { burst: 5, everyMs: 60_000 },
  'guess-account': { burst: 50, everyMs: 60_000 },
  'guess-address': { burst: 30, everyMs: 10_000 },
  'sign-up': { burst: 10, everyMs: 360_000 },
  'provider-sign-up': { burst: 10, everyMs: 360_000 },
  'card-checkout': { burst: 10, everyMs: 60_000 },
} as const satisfies Readonly<Record<string, TryRate>>;

export type TryKind = keyof typeof TRY_RATES;

export class MemoryTries implements Tries {
  readonly #clock: Clock;
  readonly #throttles: ReadonlyMap<TryKind, Throttle>;

  /** `part`: this process lets through the n-th part of each rate, and at least one at once. */
  constructor(clock: Clock, part = 1) {
    this.#clock = clock;
    const kinds = Object.entries(TRY_RATES) as [TryKind, TryRate][];
    this.#throttles = new Map(
      kinds.map(([kind, { burst, everyMs }]) => [
        kind,
        new Throttle({ burst: Math.max(1, Math.floor(burst / part)), everyMs: everyMs * part }),
      ]),
    );
  }

  async take(names: readonly Try[]): Promise<() => void> {
    // Nothing is waited for before the tries are noted, so that many at once do not all slip past.
    const nowMs = this.#clock.nowMs();
    const tries = names.map(({ kind, name }) => [this.#throttles.get(kind) as Throttle, name] as const);
    const waitS = Math.max(0, ...tries.map(([throttle, name]) => throttle.waitS(name, nowMs)));
    if (waitS > 0) throw new Fault('tried-too-often', { retryAfterS: waitS });
    for (const [throttle, name] of tries) throttle.note(name, nowMs);
    return () => {
      for (const [throttle, name] of tries) throttle.forgive(name);
    };
  }
}
