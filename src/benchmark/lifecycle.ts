import type { Database } from '#db/database.ts';
import { type LifeFacts, type LifeTerms, NO_BENCHMARK, nextMove } from '#domain/lifecycle.ts';
import type { Collateral } from '#funds/collateral.ts';
import type { Registry } from '#hub/registry.ts';
import { providersInStates, setProviderState } from '#identity/providers.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { isAsked } from './tasks/paper.ts';
import type { TurnBook } from './turn-book.ts';

/**
 * Moves providers along as `domain/lifecycle.ts` says, every few seconds: who has what the market demands becomes active,
 * and who fails its benchmarks is suspended until it passes one. Any number of processes may do it; of two at once, one
 * moves.
 */
export class Lifecycle {
  readonly #parts: LifecycleParts;
  readonly #rounds: Rounds;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
    this.#rounds = new Rounds(parts.clock, {
      periodMs: LOOK_EVERY_MS,
      work: () => this.look(),
      failed: (error) => parts.log.warn({ err: error }, 'A look at providers failed; the next one comes.'),
    });
  }

  async look(): Promise<void> {
    const { database, clock, collateral, terms, log, look } = this.#parts;
    const states = [...WAITING, ...(terms.demandsBenchmark ? (['active', 'suspended'] as const) : [])];
    for (const { id, state, reason } of await providersInStates(database, states)) {
      if (state === 'suspended' && reason !== NO_BENCHMARK) continue;
      const asks = terms.demandsCollateral && state !== 'active';
      const collateralEnough = asks ? (await collateral.standingOf(id)).enough : true;
      const move = nextMove({ state, reason, collateralEnough, benchmark: this.#benchmarkOf(id) }, terms);
      if (!move) continue;
      const at = clock.wallMs();
      const moved = await setProviderState(database, { id, from: state, ...move, at });
      if (moved !== 'moved') continue;
      log.info({ provider: id, from: state, to: move.to }, 'A provider moved on.');
      await look(id);
    }
  }

  async close(): Promise<void> {
    await this.#rounds.close();
  }

  #benchmarkOf(providerId: string): LifeFacts['benchmark'] {
    const { book, registry, models } = this.#parts;
    const turns = book.ofProvider(providerId);
    if (turns.some(({ nodeId, modelId }) => book.against(nodeId, modelId) === undefined)) return 'passed';
    if (turns.some(({ passedAt, withheldUntil }) => passedAt !== null || withheldUntil !== null)) {
      return 'failing';
    }
    if (turns.length > 0) return 'unknown';
    // Whoever serves only what is not asked questions has nothing to pass.
    for (const presence of registry.present()) {
      if (presence.providerId !== providerId || presence.serving.size === 0) continue;
      const served = [...presence.serving.values()].map(({ modelId }) => models.resolve(modelId));
      if (served.every((model) => model && !isAsked(model))) return 'passed';
    }
    return 'unknown';
  }
}

export interface LifecycleParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly collateral: Pick<Collateral, 'standingOf'>;
  readonly book: TurnBook;
  readonly registry: Pick<Registry, 'present'>;
  readonly models: { resolve(name: string): Parameters<typeof isAsked>[0] | undefined };
  readonly terms: LifeTerms;
  /** Learns of a provider that was moved a moment ago. */
  readonly look: (providerId: string) => Promise<void>;
}

const WAITING = ['pending', 'under_review', 'approved', 'activating'] as const;
const LOOK_EVERY_MS = 3_000;
