import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { type ChartProps, stamp } from './chart.tsx';
import { cx } from './class-names.ts';
import { NOTHING } from './format.ts';

/** One accent; further lines are told apart by lightness and by dashes, which colour-blind readers see as well. */
const LOOKS = [
  { dash: [], ink: '--accent', dot: 'bg-accent' },
  { dash: [5, 4], ink: '--faint', dot: 'bg-faint' },
  { dash: [2, 3], ink: '--good', dot: 'bg-good' },
  { dash: [8, 3, 2, 3], ink: '--warn', dot: 'bg-warn' },
] as const;

/** uplot, wrapped once: our colours and fonts, the width of its place, and the values under the pointer above it. */
export default function ChartCanvas({
  label,
  times,
  series,
  format,
  by = 'time',
  as = 'line',
  height = 220,
}: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [hovered, setHovered] = useState<number>();

  useEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const colour = (name: string): string =>
      getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--faint'),
      font: '11px Inter, system-ui, sans-serif',
      ticks: { show: false },
    };
    // Bars have a width, also the first and the last; one point alone needs some ground.
    const [first = 0, second] = times;
    const margin = second === undefined ? 1 : as === 'bars' ? (second - first) / 2 : 0;
    const options: uPlot.Options = {
      width: box.clientWidth,
      height,
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 7, width: 2, fill: colour('--surface') },
        drag: { x: false, y: false },
      },
      scales: {
        x: { time: false, range: (_plot, low, high) => [low - margin, high + margin] },
        y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          size: 30,
          grid: { show: false },
          space: 76,
          values: (_plot, ticks) => ticks.map((tick) => stamp(tick, by, 'axis')),
          splits: (plot) => splits(times, plot.width),
        },
        {
          ...axis,
          // Dollars of a young market have many decimals; the widest label must fit.
          size: (_plot, labels) =>
            Math.max(64, 18 + 6.4 * Math.max(0, ...(labels ?? []).map((each) => each.length))),
          space: 44,
          grid: { stroke: colour('--line'), width: 1 },
          values: (_plot, ticks) => ticks.map((tick) => format(tick)),
        },
      ],
      series: [
        {},
        ...series.map(({ name }, at): uPlot.Series => {
          const look = LOOKS[at % LOOKS.length] ?? LOOKS[0];
          const ink = colour(look.ink);
          return {
            label: name,
            stroke: ink,
            width: 2,
            dash: [...look.dash],
            points: { show: times.length === 1 },
            ...(as === 'steps' && { paths: uPlot.paths.stepped?.({ align: 1 }) ?? (() => null) }),
            ...(as === 'bars' && {
              paths: uPlot.paths.bars?.({ size: [0.62, 28], radius: 0.2 }) ?? (() => null),
              fill: ink,
              width: 0,
            }),
            ...(as === 'line' && at === 0 && { fill: `${ink}1a` }),
          };
        }),
      ],
      hooks: { setCursor: [(plot) => setHovered(plot.cursor.idx ?? undefined)] },
    };
    const plot = new uPlot(options, [[...times], ...series.map(({ values }) => [...values])], box);
    const watch = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [times, series, format, by, as, height]);

  const at = hovered ?? times.length - 1;
  return (
    <>
      <div
        className="figures flex h-7 items-start justify-between gap-4 overflow-hidden text-sm"
        aria-hidden="true"
      >
        <div className="flex gap-4">
          {series.map(({ name, values }, index) => {
            const value = values[at];
            return (
              <span key={name} className="inline-flex items-center gap-1.5 whitespace-nowrap">
                <i className={cx('size-2 rounded-sm', LOOKS[index % LOOKS.length]?.dot)} />
                <span className="text-soft">{name}</span>
                <b className="font-medium">
                  {value === null || value === undefined ? NOTHING : format(value)}
                </b>
              </span>
            );
          })}
        </div>
        <span className="whitespace-nowrap text-faint">
          {times[at] === undefined ? '' : stamp(times[at], by)}
        </span>
      </div>
      <div ref={place} role="img" aria-label={label} style={{ height }} />
    </>
  );
}

/** Steps of the data that get a word under them: as many as fit. */
function splits(times: readonly number[], width: number): number[] {
  const fit = Math.max(2, Math.floor((width - 80) / 84));
  const stride = Math.max(1, Math.ceil(times.length / fit));
  return times.filter((_, place) => (times.length - 1 - place) % stride === 0);
}
