/** One line over time, drawn by uPlot. In a chunk of its own: most pages draw none. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dark } from "../data/preferences.ts";
import { format } from "../text/index.ts";
import type { Column } from "./samples.ts";

const HEIGHT_PX = 120;
const AXIS_PX = 64;
const TIMES_PX = 26;

/** A canvas knows no style sheet: it is told the colours of the moment. */
function colours(): { line: string; area: string; grid: string; ink: string } {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { line: of("--accent"), area: of("--accent-faint"), grid: of("--edge"), ink: of("--ink-quiet") };
}

function options(unit: string, width: number): uPlot.Options {
  const { line, area, grid, ink } = colours();
  const { hour, measure } = format();
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  const full = unit === "%";
  return {
    width,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: full ? { range: [0, 100] } : { range: (_, low, high) => [Math.min(0, low), Math.max(high * 1.1, 1)] } },
    axes: [
      { ...axis, size: TIMES_PX, values: (_, at) => at.map(hour), space: 70 },
      { ...axis, size: AXIS_PX, space: 30, values: (_, at) => at.map((n) => measure(n, unit, 0)) },
    ],
    series: [{}, { stroke: line, fill: area, width: 1.5, points: { show: false } }],
  };
}

export function Chart({ of, unit, label }: { of: Column; unit: string; label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(of);
  latest.current = of;

  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const { at_s, values } = latest.current;
    const made = new uPlot(options(unit, box.clientWidth), [at_s, values], box);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
    sized.observe(box);
    return () => {
      sized.disconnect();
      made.destroy();
    };
  }, [unit, dark.value, format()]);

  useEffect(() => plot.current?.setData([of.at_s, of.values]), [of]);

  return <div class="plot" ref={place} role="img" aria-label={label} />;
}
