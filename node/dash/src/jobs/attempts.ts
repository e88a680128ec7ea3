/** How often each worker took a slice of a job, and how often that came to nothing. Pure. */
import type { Happening } from "../api.ts";

export interface Attempts {
  leased: number;
  /** By the refusal's code. */
  lost: Record<string, number>;
}

export function attemptsOf(history: readonly Happening[]): Map<string, Attempts> {
  const all = new Map<string, Attempts>();
  for (const { event, worker, reason, side } of history) {
    if (typeof worker !== "string" || side !== "requester") continue;
    const one = all.get(worker) ?? { leased: 0, lost: {} };
    if (event === "leased") one.leased += 1;
    if (event === "slice_reopened" && typeof reason === "string") one.lost[reason] = (one.lost[reason] ?? 0) + 1;
    all.set(worker, one);
  }
  return all;
}
