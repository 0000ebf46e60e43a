import { lazy, Suspense } from 'react';
import { Skeleton } from './states.tsx';
import { useTheme } from './theme.ts';

/** One line of a chart. Null is a gap: nothing was measured. */
export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  /** What it shows, in words: readers of screens get this and the table. */
  readonly label: string;
  /** Wall milliseconds, rising. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** A value with its unit. */
  readonly format: (value: number) => string;
  /** Steps are days (in UTC), hours of one day, or instants. */
  readonly by?: 'day' | 'hour' | 'time';
  /** Bars, for what is counted in each step; lines, for what is measured; steps, for what holds until it changes. */
  readonly as?: 'line' | 'bars' | 'steps';
  readonly height?: number;
}

const Canvas = lazy(() => import('./chart-canvas.tsx'));

/** A chart. The drawing is loaded with the first one; its place is kept until then. */
export function Chart(props: ChartProps) {
  const height = props.height ?? 220;
  const { shown } = useTheme();
  return (
    <figure className="min-w-0">
      <Suspense fallback={<ChartSkeleton height={height} />}>
        {/* Another theme has other colours: it is drawn anew. */}
        <Canvas key={shown} {...props} height={height} />
      </Suspense>
      <ChartTable {...props} />
    </figure>
  );
}

export function ChartSkeleton({ height = 220 }: { height?: number }) {
  return (
    <div style={{ height: height + 28 }}>
      <Skeleton className="h-full" />
    </div>
  );
}

/** The figures themselves, for whoever does not see the drawing. */
function ChartTable({ label, times, series, format, by }: ChartProps) {
  return (
    // A table grows with its rows even where it is not seen; what is around it does not.
    <div className="sr-only">
      <table>
        <caption>{label}</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {times.map((time, place) => (
            <tr key={time}>
              <th scope="row">{stamp(time, by ?? 'time')}</th>
              {series.map(({ name, values }) => {
                const value = values[place];
                return (
                  <td key={name}>{value === null || value === undefined ? 'not measured' : format(value)}</td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const HOUR = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const TIME = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

/** A step in words; under the axis, where there is little room, hours stand without their day. */
export function stamp(ms: number, by: 'day' | 'hour' | 'time', where: 'axis' | 'text' = 'text'): string {
  return (by === 'day' ? DAY : by === 'hour' && where === 'axis' ? HOUR : TIME).format(ms);
}
