import type { JobState } from "../api.ts";
import { text } from "../text/index.ts";

const GLYPHS: Record<JobState, string> = { running: "▶", done: "✓", cancelled: "■", failed: "✕", interrupted: "‖" };

/** A job's state as a glyph and a word. */
export function State({ state }: { state: JobState }) {
  return (
    <span class={`state state-${state}`}>
      <span aria-hidden="true">{GLYPHS[state]}</span> {text().jobs.states[state]}
    </span>
  );
}
