/** Weaknesses of receipts, as accounts and verdicts name them. Pure. */
import type { Verdict } from "../api.ts";

/** An account says "not stored" where a verdict says `not_stored`. */
export function flagKey(name: string): string {
  return name.replace(/[\s-]/g, "_");
}

/** Those that are set. */
export function flagsOf(flags: Readonly<Record<string, boolean>> | undefined): string[] {
  return Object.entries(flags ?? {})
    .filter(([, set]) => set)
    .map(([name]) => flagKey(name));
}

/** Whether a bundle can be relied upon as a whole: it is one, and has receipts, all of them valid. */
export function isValid({ error, receipts }: Verdict): boolean {
  return error === undefined && receipts.length > 0 && receipts.every(({ valid }) => valid);
}
