import { type SlashLadder, slashStep } from '#funds/slash.ts';

/**
 * What follows from a run: pure. A pass begins the ladder anew, whichever of a provider's machines passes: new names for a
 * machine gain nothing, because failures are counted by provider. A failure counts at most once a day: however many
 * machines fail of one cause, and however often an operator looks, it is one step. Before activation, and in the days of
 * grace after it, a failure keeps requests away and nothing else.
 */
export interface PastRun {
  readonly endedAt: number;
  readonly passed: boolean;
  /** Whether it was a step of the ladder. */
  readonly counted: boolean;
}

export interface Verdict {
  readonly passed: boolean;
  readonly counted: boolean;
  /** Counted failures in a row, this one included; 0 where it does not count. */
  readonly failures: number;
  /** `withheld`: no requests for a while, and no step. */
  readonly step: 'none' | 'withheld' | 'warning' | 'slash' | 'removal';
  /** Wall milliseconds; null when requests are not withheld. */
  readonly withheldUntil: number | null;
}

export interface VerdictTerms {
  /** False: marks are kept and nothing follows from them. */
  readonly enforced: boolean;
  /** When the days of grace are over, wall milliseconds; null before the first activation. */
  readonly graceEndsAt: number | null;
  readonly ladder: SlashLadder;
  /** How long a result is worth something. */
  readonly validMs: number;
}

const NOTHING = { counted: false, failures: 0, step: 'none', withheldUntil: null } as const;
const DAY_MS = 86_400_000;

/** `history` are the provider's earlier runs, newest first; what was set aside on appeal is not among them. */
export function judge(
  run: { readonly passed: boolean; readonly endedAt: number },
  history: readonly PastRun[],
  terms: VerdictTerms,
): Verdict {
  if (run.passed || !terms.enforced) return { passed: run.passed, ...NOTHING };
  const { endedAt } = run;
  const { ladder, graceEndsAt } = terms;
  const withheld: Verdict = {
    passed: false,
    counted: false,
    failures: 0,
    step: 'withheld',
    withheldUntil: endedAt + slashStep(1, ladder).withholdMs,
  };
  if (graceEndsAt === null || endedAt < graceEndsAt) return withheld;
  const lastPass = history.findIndex(({ passed }) => passed);
  const since = lastPass < 0 ? history : history.slice(0, lastPass);
  const counted = since.filter((past) => past.counted && endedAt - past.endedAt <= terms.validMs);
  const last = counted[0];
  // A little less than a day, because runs come a little earlier or later than planned.
  if (last && endedAt - last.endedAt < 0.8 * DAY_MS) return withheld;
  const failures = counted.length + 1;
  const said = slashStep(failures, ladder);
  return {
    passed: false,
    counted: true,
    failures,
    step: said.removes ? 'removal' : said.shareBasisPoints > 0 ? 'slash' : 'warning',
    withheldUntil: endedAt + said.withholdMs,
  };
}

/** Why a node may not serve a model for want of a benchmark; undefined when it may. */
export function benchmarkGate(
  standing: { readonly passedAt: number | null; readonly withheldUntil: number | null } | undefined,
  nowMs: number,
  validMs: number,
): string | undefined {
  if (standing?.withheldUntil != null && standing.withheldUntil > nowMs) {
    return `the benchmark was failed: no requests until ${new Date(standing.withheldUntil).toISOString()}`;
  }
  if (standing?.passedAt == null) return 'the benchmark is not passed yet';
  if (nowMs - standing.passedAt > validMs) return 'the last passed benchmark is too old';
  return undefined;
}
