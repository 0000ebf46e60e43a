import type { LikenessAnswer, LikenessFinding } from '#wire/operator.ts';
import type { Tone } from '../../parts/badge.tsx';

/** What comparing answers leads to, as it is set where the market is started. */
export const MODES: Readonly<Record<LikenessAnswer['mode'], { tone: Tone; words: string; means: string }>> = {
  off: {
    tone: 'neutral',
    words: 'Off',
    means: 'Nothing is compared. CYGNET_LIKENESS=watch starts it at the next start of the market.',
  },
  watch: {
    tone: 'accent',
    words: 'Watched',
    means: 'What is found is shown here and to the provider, and nothing follows from it.',
  },
  enforce: {
    tone: 'good',
    words: 'Enforced',
    means: 'A node that is found stands behind the others of its model: it is asked when those cannot serve.',
  },
};

const ENDS: Readonly<Record<string, string>> = {
  mended: 'Like others again',
  cleared: 'Cleared',
  expired: 'Too old to count',
};

/** How a finding stands, in words. */
export function findingState({ ended }: Pick<LikenessFinding, 'ended'>): { tone: Tone; words: string } {
  if (ended === null) return { tone: 'bad', words: 'Stands' };
  return { tone: 'neutral', words: ENDS[ended.as] ?? ended.as };
}
