/** From the daemon's samples to the columns that charts take. Pure. */
import type { Sensors } from "../api.ts";

export const GAUGES = ["gpu_pct", "temperature_c", "watts", "memory_mib", "cpu_pct"] as const;
export type Gauge = (typeof GAUGES)[number];

export const UNITS: Record<Gauge, string> = { gpu_pct: "%", temperature_c: "°C", watts: "W", memory_mib: "MiB", cpu_pct: "%" };

export interface Column {
  gauge: Gauge;
  at_s: number[];
  values: (number | null)[];
  low: number;
  high: number;
  now: number | null;
}

/** Two samples further apart than so many intervals have a time between them in which nobody measured. */
const GAP = 2.5;

/** One gauge over time; null if its sensor never said anything. */
export function column({ every_s, samples }: Sensors, gauge: Gauge): Column | null {
  const at_s: number[] = [];
  const values: (number | null)[] = [];
  for (const sample of samples) {
    const before = at_s[at_s.length - 1] ?? sample.at_s;
    // A machine that slept must not look as if it had been measured all the while.
    if (sample.at_s - before > GAP * every_s) {
      at_s.push(before + every_s);
      values.push(null);
    }
    at_s.push(sample.at_s);
    values.push(sample[gauge]);
  }
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  return {
    gauge,
    at_s,
    values,
    low: known.reduce((a, b) => Math.min(a, b)),
    high: known.reduce((a, b) => Math.max(a, b)),
    now: values[values.length - 1] ?? null,
  };
}

/** At most `most` rows, evenly spread, the newest first: a table that can be read. */
export function thinned(of: Column, most: number): { at_s: number; value: number | null }[] {
  const step = Math.max(1, Math.ceil(of.values.length / most));
  const rows: { at_s: number; value: number | null }[] = [];
  for (let n = of.values.length - 1; n >= 0; n -= step) {
    rows.push({ at_s: of.at_s[n] ?? 0, value: of.values[n] ?? null });
  }
  return rows;
}
