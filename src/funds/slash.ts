/**
 * How much a provider loses for failing, and why: pure. A ladder by failures in a row; a pass begins it anew. Only what this
 * side measured counts as a failure; what an agent says of itself never does.
 */
export interface SlashStep {
  /** What is taken, in basis points of what is pledged at that moment, waiting or not. */
  readonly shareBasisPoints: number;
  /** How long no requests are routed to it. */
  readonly withholdMs: number;
  readonly removes: boolean;
}

/** Step by step: the first failure, the second in a row, the third and every further one. */
export type SlashLadder = readonly [SlashStep, ...SlashStep[]];

const DAY_MS = 86_400_000;

/** A warning and a day without requests; then a tenth; then three tenths, and removal. */
export const SLASH_LADDER: SlashLadder = [
  { shareBasisPoints: 0, withholdMs: DAY_MS, removes: false },
  { shareBasisPoints: 1_000, withholdMs: DAY_MS, removes: false },
  { shareBasisPoints: 3_000, withholdMs: DAY_MS, removes: true },
];

/** A ladder of these percentages, a day without requests at each step; the last one removes. */
export function slashLadder([first, ...rest]: readonly [number, ...number[]]): SlashLadder {
  const step = (percent: number, removes: boolean): SlashStep => ({
    shareBasisPoints: percent * 100,
    withholdMs: DAY_MS,
    removes,
  });
  return [step(first, rest.length === 0), ...rest.map((percent, i) => step(percent, i === rest.length - 1))];
}

/** What follows from the `failures`-th failure in a row (1 is the first). */
export function slashStep(failures: number, ladder: SlashLadder = SLASH_LADDER): SlashStep {
  return ladder[Math.min(failures, ladder.length) - 1] ?? ladder[0];
}

/** What a step takes of a pledge: rounded down, and no less than one unit where it takes anything of something. */
export function slashAmount(pledge: { locked: bigint; waiting: bigint }, step: SlashStep): bigint {
  const pledged = pledge.locked + pledge.waiting;
  if (pledged === 0n || step.shareBasisPoints === 0) return 0n;
  const amount = (pledged * BigInt(step.shareBasisPoints)) / 10_000n;
  return amount === 0n ? 1n : amount;
}
