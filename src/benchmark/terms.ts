import type { HardwareTier } from '#domain/hardware-tier.ts';
import type { Score } from './grade.ts';

/** What a paper must come to. The shares and the time are the Swan market's; the pace by class of machine is ours. */
export interface Terms {
  readonly mathShareMin: number;
  readonly codeShareMin: number;
  readonly ttftMsMax: number;
  readonly tokensPerSecondMin: Readonly<Record<HardwareTier, number>>;
}

const TERMS: Terms = {
  mathShareMin: 0.5,
  codeShareMin: 0.5,
  ttftMsMax: 5_000,
  // Far below what such machines do with the models that they are for: who is slower has something else in the machine.
  tokensPerSecondMin: { S: 15, A: 10, B: 8, C: 5, unified: 5, rejected: 1, unknown: 1 },
};

/** What a score lacks, in sentences for the provider; none when it passes. */
export function shortcomings(score: Score, tier: HardwareTier, terms: Terms = TERMS): string[] {
  const found: string[] = [];
  const share = (what: string, [right, of]: readonly [number, number], min: number): void => {
    const needed = Math.ceil(of * min);
    if (right < needed) found.push(`${what}: ${right} of ${of} answers were right, ${needed} are needed.`);
  };
  share('Math', score.math, terms.mathShareMin);
  share('Code', score.code, terms.codeShareMin);
  if (score.ttftMs === null) found.push('Latency: most answers did not come, or were no answers.');
  else if (score.ttftMs > terms.ttftMsMax) {
    found.push(
      `Latency: the first token took ${Math.round(score.ttftMs)} ms, at most ${terms.ttftMsMax} are allowed.`,
    );
  }
  const paceMin = terms.tokensPerSecondMin[tier];
  if (score.ttftMs !== null && score.tokensPerSecond < paceMin) {
    const pace = score.tokensPerSecond.toFixed(1);
    found.push(`Pace: ${pace} tokens a second, ${paceMin} are needed of a machine of class ${tier}.`);
  }
  return found;
}
