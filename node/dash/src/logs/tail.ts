/** The newest lines of a log, and which of them are looked at. Pure. */
import type { LogLine } from "../api.ts";

/** Kept in memory; older lines are the file's. */
export const LINES_MOST = 2000;

/** From the gravest to the least grave. */
export const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type Level = LogLine["level"];

/** `kept` with `more` after it, without what is there already, and no longer than the bound. */
export function appended(kept: readonly LogLine[], more: readonly LogLine[], most = LINES_MOST): readonly LogLine[] {
  const last = kept[kept.length - 1]?.id ?? -1;
  const fresh = more.filter(({ id }) => id > last);
  return fresh.length === 0 ? kept : [...kept, ...fresh].slice(-most);
}

/** Lines at least as grave as `level` that contain `query`. */
export function looked(lines: readonly LogLine[], level: Level, query: string): LogLine[] {
  const worst = LEVELS.indexOf(level);
  const needle = query.toLowerCase();
  return lines.filter(
    (line) =>
      LEVELS.indexOf(line.level) <= worst && (needle === "" || `${line.target} ${line.message}`.toLowerCase().includes(needle)),
  );
}
