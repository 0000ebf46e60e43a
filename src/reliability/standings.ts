import { dayOf, dayStart, parseDay } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { AttemptTable } from './attempts.ts';
import { type Standing, type Stretch, standingOf } from './standing.ts';

/**
 * Judges every provider by its last 30 days, again and again, and tells routing who stands behind. Each process does so for
 * itself, from the same rows; a life that has just begun knows within moments what the one before knew.
 */
export class Standings {
  readonly #parts: StandingsParts;
  readonly #rounds: Rounds;
  #known: ReadonlyMap<string, Standing> = new Map();
  #judgedAtMs: number | undefined;

  constructor(parts: StandingsParts) {
    this.#parts = parts;
    this.#rounds = new Rounds(parts.clock, {
      periodMs: ROUND_EVERY_MS,
      work: () => this.round(),
      failed: (error) =>
        parts.log.warn({ err: error }, 'Providers could not be judged; what was known of them holds.'),
    });
  }

  /** How a provider stands, as far as it was judged. */
  of(providerId: string): Standing | undefined {
    return this.#known.get(providerId);
  }

  /** Writes what was counted, and judges everybody when it is time. */
  async round(): Promise<void> {
    const { attempts, clock } = this.#parts;
    await attempts.keep();
    const nowMs = clock.nowMs();
    if (this.#judgedAtMs !== undefined && nowMs - this.#judgedAtMs < JUDGE_EVERY_MS) return;
    await this.judge();
    this.#judgedAtMs = nowMs;
  }

  async judge(): Promise<void> {
    const { attempts, clock, log, providers, uptimes, putBehind } = this.#parts;
    const at = clock.wallMs();
    const today = dayOf(at);
    const [days, there, all] = await Promise.all([
      attempts.byDay({ from: today - DAYS + 1, until: today + 1 }),
      uptimes(at),
      providers(),
    ]);
    await attempts.dropBefore(today - DAYS_KEPT);
    const stretches = new Map<string, Stretch[]>();
    for (const { day, providerId, served, failed } of days) {
      const middle = dayStart(parseDay(day) ?? today) + 43_200_000;
      const stretch = { ageMs: Math.max(0, at - middle), requests: served + failed, failures: failed };
      const known = stretches.get(providerId);
      if (known) known.push(stretch);
      else stretches.set(providerId, [stretch]);
    }
    const known = new Map<string, Standing>();
    const behind = new Map<string, string>();
    for (const { id, since } of all) {
      const standing = standingOf({
        uptime: there.get(id)?.month,
        stretches: stretches.get(id) ?? [],
        activeForMs: at - since,
      });
      known.set(id, standing);
      if (standing.behind) behind.set(id, standing.misses.join('; '));
    }
    const wereBehind = new Set([...this.#known].filter(([, { behind: was }]) => was).map(([id]) => id));
    for (const [providerId, why] of behind)
      if (!wereBehind.has(providerId))
        log.warn({ event: 'provider-behind', providerId, why }, 'A provider is put behind others.');
    this.#known = known;
    putBehind(behind);
  }

  async close(): Promise<void> {
    await this.#rounds.close();
    await this.#parts.attempts.keep();
  }
}

const ROUND_EVERY_MS = 15_000;
const JUDGE_EVERY_MS = 300_000;
const DAYS = 30;
const DAYS_KEPT = 90;

export interface StandingsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly attempts: AttemptTable;
  /** Every provider that may serve, and when (wall milliseconds) it could for the first time. */
  readonly providers: () => Promise<readonly { id: string; since: number }[]>;
  /** The shares of the market's minutes in which providers were there, 0 to 1. */
  readonly uptimes: (at: number) => Promise<ReadonlyMap<string, { readonly month: number | undefined }>>;
  /** Learns who stands behind from now on, and why. */
  readonly putBehind: (reasons: ReadonlyMap<string, string>) => void;
}
