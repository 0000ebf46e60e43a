import { SLASH_LADDER, type SlashLadder } from '#funds/slash.ts';

/** How benchmarks are held. docs/operate/benchmarks.md says what each setting is for; a test may vary any of them. */
export interface BenchmarkSettings {
  /** `watch`: marks are kept and shown, and nothing follows. `enforce`: who has not passed is not routed to. */
  readonly mode: 'off' | 'watch' | 'enforce';
  readonly everyMs: number;
  /** The share of a period by which a turn may come earlier. */
  readonly jitter: number;
  /** A node's first turn comes within this time after it was first seen, at an instant of chance. */
  readonly firstWithinMs: number;
  readonly validMs: number;
  readonly graceMs: number;
  readonly ladder: SlashLadder;
  readonly questionMs: number;
  /** Between two questions: a pause of chance up to this. */
  readonly pauseMsMax: number;
  /** Runs at once of this process. */
  readonly runsMax: number;
  /** After so long without a result the process that took a turn counts as dead. */
  readonly leaseMs: number;
  /** When a run taught nothing, the next try. */
  readonly againMs: number;
  /** `watch`: nodes that answer unlike others of their model are found and shown. `enforce`: they stand behind others. */
  readonly likeness: 'off' | 'watch' | 'enforce';
  /** Between two likeness checks of a model, more or less by half. With many providers they come more often. */
  readonly likenessEveryMs: number;
  /** Between two nodes that a check asks: a pause of chance up to this. */
  readonly likenessPauseMsMax: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

export const DEFAULT_BENCHMARK_SETTINGS: BenchmarkSettings = {
  mode: 'watch',
  everyMs: DAY_MS,
  jitter: 0.1,
  firstWithinMs: 10 * MINUTE_MS,
  validMs: 30 * DAY_MS,
  graceMs: 7 * DAY_MS,
  ladder: SLASH_LADDER,
  questionMs: MINUTE_MS,
  pauseMsMax: 1_500,
  runsMax: 4,
  leaseMs: 60 * MINUTE_MS,
  againMs: 10 * MINUTE_MS,
  likeness: 'watch',
  likenessEveryMs: 240 * MINUTE_MS,
  likenessPauseMsMax: 20_000,
};
