/**
 * When two answers to one prompt begin alike: pure. The same weights, asked greedily, write the same words until rounding
 * (another quantisation, another batch) turns one of them; other weights part sooner, and soon share little but names. So
 * only the beginning is looked at, and it is enough to go along for a while or to share many pairs of words. What is enough
 * is data.
 */
export interface Opening {
  /** The first words, in lower case and without marks. */
  readonly words: readonly string[];
  /** How likely the model held its first token, where the backend tells; undefined where not. */
  readonly first?: { readonly token: string; readonly logprob: number } | undefined;
}

export interface AlikeTerms {
  /** How many words of the beginning count. */
  readonly words: number;
  /** Beginnings that go along for so many words are alike. */
  readonly togetherMin: number;
  /** So are those that share this part of their pairs of neighbouring words (Dice's coefficient). */
  readonly sharedMin: number;
  /** First tokens that are the same, and held this much differently likely (natural logarithm), are another model's. */
  readonly logprobApartMax: number;
}

export const ALIKE: AlikeTerms = { words: 32, togetherMin: 10, sharedMin: 0.5, logprobApartMax: 2 };

/** The beginning of an answer, as it is compared. */
export function openingOf(text: string, first?: Opening['first'], terms: AlikeTerms = ALIKE): Opening {
  const words = text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .slice(0, terms.words);
  return { words, ...(first && { first }) };
}

export function areAlike(a: Opening, b: Opening, terms: AlikeTerms = ALIKE): boolean {
  if (a.first && b.first && a.first.token === b.first.token) {
    if (Math.abs(a.first.logprob - b.first.logprob) > terms.logprobApartMax) return false;
  }
  let together = 0;
  while (together < a.words.length && a.words[together] === b.words[together]) together += 1;
  if (together >= terms.togetherMin) return true;
  if (together === a.words.length && together === b.words.length) return true;
  return sharedPairs(a.words, b.words) >= terms.sharedMin;
}

function sharedPairs(a: readonly string[], b: readonly string[]): number {
  const left = new Map<string, number>();
  const pairsOf = (words: readonly string[]): string[] =>
    words.slice(1).map((word, i) => `${words[i]} ${word}`);
  const [mine, theirs] = [pairsOf(a), pairsOf(b)];
  if (mine.length === 0 || theirs.length === 0) return 0;
  for (const pair of mine) left.set(pair, (left.get(pair) ?? 0) + 1);
  let shared = 0;
  for (const pair of theirs) {
    const count = left.get(pair) ?? 0;
    if (count === 0) continue;
    left.set(pair, count - 1);
    shared += 1;
  }
  return (2 * shared) / (mine.length + theirs.length);
}
