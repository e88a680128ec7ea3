/**
 * Numbers, sizes and times as a language writes them. Pure: the language is an argument.
 *
 * A number is never shown without its unit, and `null` (unknown) is shown as a dash.
 */

export const UNKNOWN = "–";

const SI = ["", "k", "M", "G", "T", "P", "E"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

const SECOND = 1;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Everything that writes values in one language. */
export interface Format {
  count(n: number): string;
  /** `value` with one decimal at most, and a unit that no language translates, such as "W" or "°C". */
  measure(value: number | null, unit: string, decimals?: number): string;
  /** 0.5 is 50 %. */
  share(part: number): string;
  /** Work units, or those per second, with an SI prefix: "17.2 G". */
  si(value: number | null, unit?: string): string;
  bytes(n: number | null): string;
  duration(seconds: number | null): string;
  /** Date and time of a Unix time in seconds. */
  moment(at_s: number): string;
  /** Time of day, to the second, of a Unix time in milliseconds. */
  clock(unix_ms: number): string;
  /** Hours and minutes of a Unix time in seconds. */
  hour(at_s: number): string;
}

function scaled(value: number, step: number, names: readonly string[]): [number, string] {
  let n = 0;
  let rest = Math.abs(value);
  // Half of the last digit below the next step is rounded up to it: 999.96 k is written as 1 M.
  while (rest >= step * 0.99995 && n < names.length - 1) {
    rest /= step;
    n += 1;
  }
  return [Math.sign(value) * rest, names[n] ?? ""];
}

type SpanUnit = "day" | "hour" | "minute" | "second" | "millisecond";

/** The largest two units of a span, such as 1 h and 5 min. */
export function spans(seconds: number): [number, SpanUnit][] {
  if (seconds > 0 && seconds < 1) return [[Math.max(1, Math.round(seconds * 1000)), "millisecond"]];
  if (seconds < 10) return [[Math.round(seconds * 10) / 10, "second"]];
  const whole = Math.round(seconds);
  const all: [number, SpanUnit][] = [
    [Math.floor(whole / DAY), "day"],
    [Math.floor((whole % DAY) / HOUR), "hour"],
    [Math.floor((whole % HOUR) / MINUTE), "minute"],
    [whole % MINUTE, "second"],
  ];
  const first = all.findIndex(([n]) => n > 0);
  return all.slice(first, first + 2).filter(([n], at) => at === 0 || n > 0);
}

/** Makes each thing once: Intl's objects are slow to make. */
function cached<K, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const fresh = make(key);
    made.set(key, fresh);
    return fresh;
  };
}

function make(language: string): Format {
  const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const digits = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });
  const hour = new Intl.DateTimeFormat(language, { timeStyle: "short", hourCycle: "h23" });
  const unit = cached(
    (name: SpanUnit) =>
      new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: 1 }),
  );
  const decimal = cached((most: number) => new Intl.NumberFormat(language, { maximumFractionDigits: most }));

  return {
    count: (n) => whole.format(n),
    measure: (value, name, decimals = 1) => (value === null ? UNKNOWN : `${decimal(decimals).format(value)}\u00a0${name}`),
    share: (part) => percent.format(part),
    si(value, name = "") {
      if (value === null) return UNKNOWN;
      const [n, prefix] = scaled(value, 1000, SI);
      // "17.2 G/s", but "3.2 T work units".
      const gap = prefix === "" || name.startsWith("/") ? "" : "\u00a0";
      return `${digits.format(n)}\u00a0${prefix}${gap}${name}`.trim();
    },
    bytes(n) {
      if (n === null) return UNKNOWN;
      const [value, name] = scaled(n, 1024, BINARY);
      return `${digits.format(value)}\u00a0${name}`;
    },
    duration: (seconds) =>
      seconds === null
        ? UNKNOWN
        : spans(seconds)
            .map(([n, name]) => unit(name).format(n))
            .join(" "),
    moment: (at_s) => moment.format(at_s * 1000),
    clock: (unix_ms) => clock.format(unix_ms),
    hour: (at_s) => hour.format(at_s * 1000),
  };
}

/** The format of a language. */
export const formatOf = cached(make);

/** The beginning of a key or an id: enough to tell a few apart, and what the command line takes. */
export function short(id: string): string {
  return id.slice(0, 8);
}
