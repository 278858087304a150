import { memo, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Series {
  label: string;
  /** a colour of src/index.css */
  colour: string;
  values: (number | null)[];
  fill?: boolean;
}

interface Props {
  label: string;
  times: number[];
  series: Series[];
  unit: (value: number) => string;
  height?: number;
  /** how a time is written below the chart */
  clock?: (seconds: number) => string;
}

const minutes = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const clockOf = (seconds: number): string => minutes.format(seconds * 1000);

/** Values between two times without any: a line does not show them. */
function alone(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) {
      found.push(i);
    }
  }
  return found;
}

function options(width: number, props: Props, onCursor: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string, alpha = 1) => `rgb(${style.getPropertyValue(`--${name}`)} / ${alpha})`;
  const axis = {
    stroke: colour('muted'),
    font: '12px system-ui',
    grid: { stroke: colour('line', 0.7), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: props.height ?? 200,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    hooks: { setCursor: [(chart) => onCursor(chart.cursor.idx ?? null)] },
    padding: [12, 40, 0, 0],
    // without any value the axis still has a size
    scales: { y: { range: (_, __, high: number | null) => [0, high ? high * 1.1 : 1] } },
    axes: [
      { ...axis, space: 72, size: 32, values: (_, ticks) => ticks.map(props.clock ?? clockOf) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => props.unit(tick)) },
    ],
    series: [
      {},
      ...props.series.map((one) => ({
        label: one.label,
        stroke: colour(one.colour),
        width: 1.5,
        points: { show: true, size: 5, filter: (chart: uPlot, index: number) => alone(chart.data[index] ?? []) },
        ...(one.fill ? { fill: colour(one.colour, 0.12) } : {}),
      })),
    ],
  };
}

/**
 * Lines over time. Below them stand the values under the pointer, which the arrow keys move as well; they are said in words, too,
 * for those who do not see the lines.
 */
export const Chart = memo(function Chart(props: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState<number | null>(null);
  const shape = props.series.map((one) => one.label).join();

  useEffect(() => {
    const element = holder.current;
    if (!element) {
      return;
    }
    const build = () => {
      chart.current?.destroy();
      const { times, series } = latest.current;
      chart.current = new uPlot(options(element.clientWidth, latest.current, setAt), [times, ...series.map((one) => one.values)], element);
    };
    build();
    const sized = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height: latest.current.height ?? 200 }));
    sized.observe(element);
    const themed = new MutationObserver(build);
    themed.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      sized.disconnect();
      themed.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [shape]);

  useEffect(() => {
    chart.current?.setData([props.times, ...props.series.map((one) => one.values)]);
  }, [props.times, props.series]);

  /** The cursor goes to one of the times, or away. */
  const point = (index: number | null) => {
    const time = index === null ? undefined : props.times[Math.min(Math.max(index, 0), props.times.length - 1)];
    chart.current?.setCursor(time === undefined ? { left: -10, top: -10 } : { left: chart.current.valToPos(time, 'x'), top: 0 });
  };
  const last = props.times.length - 1;
  const key = (event: KeyboardEvent) => {
    const from = at ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 10, PageDown: from + 10, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      point(to);
    }
  };
  const valueOf = ({ values }: Series): string => {
    const value = at === null ? values.findLast((one) => one !== null) : values[at];
    return value === null || value === undefined ? (at === null ? 'no data' : '–') : props.unit(value);
  };
  const time = at === null ? undefined : props.times[at];
  const when = time === undefined ? null : (props.clock ?? clockOf)(time);
  const words = props.series.map((one) => `${one.label} ${valueOf(one)}`).join(', ');
  const empty = props.series.every((one) => one.values.every((value) => value === null));
  return (
    <figure className="relative p-4">
      {empty && <p className="absolute inset-x-0 top-1/3 text-center text-muted">Nothing ended in this time.</p>}
      <div
        ref={holder}
        role="slider"
        tabIndex={0}
        aria-label={props.label}
        aria-readonly
        aria-valuemin={0}
        aria-valuemax={Math.max(last, 0)}
        aria-valuenow={at ?? Math.max(last, 0)}
        aria-valuetext={`${when ?? 'now'}: ${words}`}
        className="w-full"
        onKeyDown={key}
        onBlur={() => point(null)}
      />
      <figcaption className="mt-2 flex min-h-8 flex-wrap content-start gap-x-4 text-xs text-muted sm:min-h-4">
        {props.series.map((one) => (
          <span key={one.label} className="inline-flex items-center gap-1">
            <Swatch colour={one.colour} />
            {one.label}
            {when !== null && <span className="font-medium tabular-nums text-ink">{valueOf(one)}</span>}
          </span>
        ))}
        {when !== null && <span className="ml-auto tabular-nums">{when}</span>}
      </figcaption>
    </figure>
  );
});

const SWATCHES: Record<string, string> = {
  good: 'bg-good', bad: 'bg-bad', waiting: 'bg-waiting', running: 'bg-running', warning: 'bg-warning', ink: 'bg-ink', muted: 'bg-muted',
};

function Swatch({ colour }: { colour: string }) {
  return <span aria-hidden className={`h-0.5 w-3 ${SWATCHES[colour] ?? ''}`} />;
}
