import type { RequestAnswer } from '#wire/dashboard.ts';
import { cx } from '../../parts/class-names.ts';
import { duration } from '../../parts/format.ts';
import { RESULTS, worded } from './words.ts';

interface Bar {
  readonly name: string;
  readonly note: string | undefined;
  readonly fromMs: number;
  readonly tookMs: number;
  readonly fill: string;
}

const TICKS = 5;

/** A request's times on one axis: the queue, each attempt, and within the last the wait and the writing. */
export function Waterfall({ request }: { request: RequestAnswer }) {
  const bars = barsOf(request);
  const whole = Math.max(request.timing.total_ms, ...bars.map(({ fromMs, tookMs }) => fromMs + tookMs), 1);
  const at = (ms: number): string => `${(ms / whole) * 100}%`;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 sm:grid-cols-[11rem_minmax(0,1fr)_5.5rem]">
      <ol className="contents">
        {bars.map(({ name, note, fromMs, tookMs, fill }, place) => (
          <li key={place} className="contents">
            <span className="col-span-2 min-w-0 pt-2.5 sm:col-span-1 sm:pb-2.5">
              <span className="flex items-baseline justify-between gap-3 leading-5 font-medium">
                <span className="truncate">{name}</span>
                <span className="figures sm:hidden">{duration(tookMs)}</span>
              </span>
              {note !== undefined && (
                <span className="block truncate text-sm leading-4 text-faint">{note}</span>
              )}
            </span>
            <span className="relative col-span-2 block h-6 border-l border-line sm:col-span-1 sm:h-full">
              <span
                className={cx('absolute top-1/2 h-3 min-w-1 -translate-y-1/2 rounded-sm', fill)}
                style={{ left: `min(${at(fromMs)}, calc(100% - 0.25rem))`, width: at(tookMs) }}
              />
            </span>
            <span className="figures self-center text-right font-medium whitespace-nowrap max-sm:hidden">
              {duration(tookMs)}
            </span>
          </li>
        ))}
      </ol>
      <span className="max-sm:hidden" />
      <span
        className="figures relative mt-1 block h-6 border-t border-line text-xs text-faint max-sm:col-span-2"
        aria-hidden="true"
      >
        {Array.from({ length: TICKS }, (_, place) => (
          <span
            key={place}
            className={cx(
              'absolute top-1.5 whitespace-nowrap',
              place === TICKS - 1 ? '-translate-x-full' : place > 0 && '-translate-x-1/2 max-sm:hidden',
            )}
            style={{ left: `${(place / (TICKS - 1)) * 100}%` }}
          >
            {place === 0 ? '0' : duration((whole * place) / (TICKS - 1))}
          </span>
        ))}
      </span>
    </div>
  );
}

function barsOf({ timing, served, provider, outcome }: RequestAnswer): Bar[] {
  const bars: Bar[] = [];
  if (served.queue_ms !== null)
    bars.push({
      name: 'Queue',
      note: outcome === 'refused' ? 'Until it was refused' : 'Until somebody was found',
      fromMs: 0,
      tookMs: served.queue_ms,
      fill: 'bg-faint',
    });
  const last = served.route?.at(-1);
  for (const each of served.route ?? []) {
    if (each === last && timing.until_first_token_ms !== null) continue;
    bars.push({
      name: each.provider ?? 'An attempt',
      note: RESULTS[each.result]?.words ?? worded(each.result),
      fromMs: each.started_ms,
      tookMs: each.took_ms,
      fill: each.result === 'served' ? 'bg-accent' : 'bg-bad',
    });
  }
  const first = timing.until_first_token_ms;
  if (first === null) {
    if (bars.length === 0)
      bars.push({
        name: 'The whole',
        note: undefined,
        fromMs: 0,
        tookMs: timing.total_ms,
        fill: 'bg-accent',
      });
    return bars;
  }
  const asked = Math.min(last?.started_ms ?? 0, first);
  bars.push(
    {
      name: 'Until the first token',
      note: last?.provider ?? provider ?? undefined,
      fromMs: asked,
      tookMs: first - asked,
      fill: 'bg-warn',
    },
    {
      name: 'Writing',
      note:
        last === undefined || last.result === 'served'
          ? 'Until the last token'
          : (RESULTS[last.result]?.words ?? undefined),
      fromMs: first,
      tookMs: timing.generation_ms ?? 0,
      fill: 'bg-accent',
    },
  );
  return bars;
}
