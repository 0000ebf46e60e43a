import type { Database } from '#db/database.ts';
import type { LifeTerms } from '#domain/lifecycle.ts';
import type { Collateral } from '#funds/collateral.ts';
import type { Hub } from '#hub/hub.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import { AppealDesk } from './appeals.ts';
import { Evaluator } from './evaluator.ts';
import { Lifecycle, type LifecycleParts } from './lifecycle.ts';
import type { LikenessBook } from './likeness/book.ts';
import { type AskLike, LikenessRounds } from './likeness/rounds.ts';
import { LikenessStore } from './likeness/store.ts';
import { Sampler, type SamplerParts } from './sampler.ts';
import type { BenchmarkSettings } from './settings.ts';
import { BenchmarkStore } from './store.ts';
import { digestOf } from './tasks/paper.ts';
import type { TurnBook } from './turn-book.ts';

/** Benchmarks and what follows from them, as a market has them. */
export interface Benchmarks {
  readonly store: BenchmarkStore;
  readonly appeals: AppealDesk;
  readonly book: TurnBook;
  readonly likeness: { readonly store: LikenessStore; readonly book: LikenessBook };
  readonly settings: BenchmarkSettings;
  close(): Promise<void>;
}

/** Questions are remembered for so long. */
const ASKED_KEPT_MS = 400 * 86_400_000;
const FORGET_EVERY_MS = 86_400_000;

export function openBenchmarks(parts: {
  database: Database;
  clock: Clock;
  random: Randomness;
  ids: IdMaker;
  log: Logger;
  hub: Hub;
  models: SamplerParts['models'];
  collateral: Collateral;
  /** True to the table of turns; stays the caller's to close, because the hub asks it. */
  book: TurnBook;
  /** Likewise, of who answers unlike others. */
  unlike: LikenessBook;
  /** Asks one candidate through the public door. */
  askLike: AskLike;
  settings: BenchmarkSettings;
  terms: LifeTerms;
  look: LifecycleParts['look'];
}): Benchmarks {
  const {
    database,
    clock,
    random,
    ids,
    log,
    hub,
    models,
    collateral,
    book,
    unlike,
    askLike,
    settings,
    terms,
    look,
  } = parts;
  const store = new BenchmarkStore(database);
  const { registry } = hub;
  const evaluator = new Evaluator({ clock });
  const sampler =
    settings.mode === 'off'
      ? undefined
      : new Sampler({
          clock,
          random,
          ids,
          log,
          registry,
          models,
          store,
          book,
          evaluator,
          collateral,
          settings,
        });
  const likeness = new LikenessStore(database);
  const likenessRounds =
    settings.likeness === 'off'
      ? undefined
      : new LikenessRounds({
          clock,
          random,
          ids,
          log,
          hub,
          models,
          store: likeness,
          book: unlike,
          settings,
          fresh: async (prompt, at) => (await store.markAsked([digestOf({ prompt })], at)).size > 0,
          ask: askLike,
        });
  const lifecycle = new Lifecycle({ database, clock, log, collateral, book, registry, models, terms, look });
  const forgetting = new Rounds(clock, {
    periodMs: FORGET_EVERY_MS,
    work: () => store.forgetAsked(clock.wallMs() - ASKED_KEPT_MS),
    failed: (error) => log.warn({ err: error }, 'Old questions were not forgotten; the next round will.'),
  });
  return {
    store,
    appeals: new AppealDesk(database),
    book,
    likeness: { store: likeness, book: unlike },
    settings,
    close: async () => {
      await likenessRounds?.close();
      await sampler?.close();
      await lifecycle.close();
      await forgetting.close();
      await evaluator.close();
    },
  };
}
