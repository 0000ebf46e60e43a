import { duration, NOTHING, usdExact } from '../../../parts/format.ts';
import type { Whole } from './whole.ts';

/** What an answer that came whole took and cost. */
export function Took({ of: { tookMs, cost } }: { of: Whole<unknown> }) {
  return (
    <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm text-soft">
      <div className="flex gap-1.5">
        <dt>Time</dt>
        <dd className="figures text-ink">{duration(tookMs)}</dd>
      </div>
      <div className="flex gap-1.5">
        <dt>Cost</dt>
        <dd className="figures text-ink">{cost === undefined ? NOTHING : usdExact(cost)}</dd>
      </div>
    </dl>
  );
}
