import { memo, useEffect, useRef } from 'react';
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

function options(width: number, props: Props): uPlot.Options {
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
    padding: [12, 28, 0, 0],
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

/** Lines over time. What the lines show is said in words too, for those who do not see them. */
export const Chart = memo(function Chart(props: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shape = props.series.map((one) => one.label).join();

  useEffect(() => {
    const element = holder.current;
    if (!element) {
      return;
    }
    const build = () => {
      chart.current?.destroy();
      const { times, series } = latest.current;
      chart.current = new uPlot(options(element.clientWidth, latest.current), [times, ...series.map((one) => one.values)], element);
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

  const words = props.series.map((one) => {
    const last = one.values.findLast((value): value is number => value !== null);
    return `${one.label} ${last === undefined ? 'no data' : props.unit(last)}`;
  });
  const empty = props.series.every((one) => one.values.every((value) => value === null));
  return (
    <figure className="relative p-4">
      {empty && <p className="absolute inset-x-0 top-1/3 text-center text-muted">Nothing ended in this time.</p>}
      <div ref={holder} role="img" aria-label={`${props.label}: ${words.join(', ')}`} className="w-full" />
      <figcaption className="mt-2 flex flex-wrap gap-x-4 text-xs text-muted">
        {props.series.map((one) => (
          <span key={one.label} className="inline-flex items-center gap-1">
            <Swatch colour={one.colour} />
            {one.label}
          </span>
        ))}
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
