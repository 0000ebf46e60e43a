import { ALIKE, type AlikeTerms, areAlike, type Opening } from './opening.ts';

/**
 * From answers to a finding: pure, in two steps.
 *
 * One check asks one prompt of several providers, one node of each, so that nodes of one provider never vouch for one
 * another. Where more than half of the answers are alike, those are the crowd, and who is like none of it is unlike. With
 * fewer than three providers, or without such a majority, a check says nothing of anybody.
 *
 * Many checks of one node are weighed by Page's test (a running sum of likelihood ratios that never falls below nothing).
 * An honest node is unlike in at most `honestMax` of its checks, by quantisation and batching; one that serves something
 * else in at least `otherMin`. The sum exceeds `ln(x)` within n checks of an honest node with a chance of at most n / x
 * (Ville's inequality, once for each check where the sum may have begun). What is weighed is kept as one number, so that a
 * node is judged by all its checks, however many processes made them.
 */
export interface LikenessTerms {
  readonly alike: AlikeTerms;
  /** Answers of so many providers, or a check says nothing. At least three. */
  readonly providersMin: number;
  readonly honestMax: number;
  readonly otherMin: number;
  /** Natural logarithms: how much evidence finds a node unlike, and how much lets a finding end. */
  readonly foundAt: number;
  readonly mendedAt: number;
}

export const LIKENESS: LikenessTerms = {
  alike: ALIKE,
  providersMin: 3,
  honestMax: 0.2,
  otherMin: 0.6,
  foundAt: Math.log(1_000_000),
  mendedAt: Math.log(1_000),
};

export type CheckVerdict = 'alike' | 'unlike' | 'unclear';

/** What one check says of each of its answers, of which no two are of one provider. */
export function verdictsOf(openings: readonly Opening[], terms: LikenessTerms = LIKENESS): CheckVerdict[] {
  if (openings.length < Math.max(3, terms.providersMin)) return openings.map(() => 'unclear');
  const near = openings.map((a) => openings.map((b) => a === b || areAlike(a, b, terms.alike)));
  const crowd = new Set<number>();
  for (const row of near) {
    if (row.filter(Boolean).length * 2 <= openings.length) continue;
    for (const [i, alike] of row.entries()) if (alike) crowd.add(i);
  }
  if (crowd.size === 0) return openings.map(() => 'unclear');
  return near.map((row) => (row.some((alike, i) => alike && crowd.has(i)) ? 'alike' : 'unlike'));
}

/** A node's account on a model. */
export interface Account {
  /** Since there last was no evidence at all, or since it was found. */
  readonly checks: number;
  readonly unlike: number;
  /** Of being unlike; while found, of being alike again. */
  readonly evidence: number;
  readonly found: boolean;
}

export const NEW_ACCOUNT: Account = { checks: 0, unlike: 0, evidence: 0, found: false };

/** A check more. */
export function weigh(
  before: Account,
  verdict: Exclude<CheckVerdict, 'unclear'>,
  terms: LikenessTerms = LIKENESS,
): Account {
  const isUnlike = verdict === 'unlike';
  const ratio = isUnlike
    ? Math.log(terms.otherMin / terms.honestMax)
    : Math.log((1 - terms.otherMin) / (1 - terms.honestMax));
  const evidence = Math.max(0, before.evidence + (before.found ? -ratio : ratio));
  const counts = { checks: before.checks + 1, unlike: before.unlike + (isUnlike ? 1 : 0) };
  if (!before.found && evidence >= terms.foundAt) return { ...counts, evidence: 0, found: true };
  const isOver = before.found ? evidence >= terms.mendedAt : evidence === 0;
  if (isOver) return NEW_ACCOUNT;
  return { ...counts, evidence, found: before.found };
}

/** In words for the provider, and for whoever asks why it stands behind. */
export function whyUnlike({ checks, unlike }: Pick<Account, 'checks' | 'unlike'>): string {
  return `answers unlike others of this model: in ${unlike} of ${checks} comparisons it began otherwise than most other providers' nodes`;
}
