import type { RequestsAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { OUTCOMES } from './words.ts';

/** How a request ended. */
export function OutcomeBadge({ outcome }: { outcome: RequestsAnswer['requests'][number]['outcome'] }) {
  const { tone, words } = OUTCOMES[outcome];
  return <Badge tone={tone}>{words}</Badge>;
}
