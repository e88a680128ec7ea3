/**
 * Whether the daemon answers.
 *
 * One place asks again, with backoff; everything else watches `epoch`, which grows when the daemon is back, or knows this page again.
 */
import { signal } from "@preact/signals";
import { backoff } from "./backoff.ts";

type LinkState = "up" | "down" | "locked";

/** "locked" is a daemon that answers, but knows this page no longer. */
export const link = signal<LinkState>("up");
export const epoch = signal(0);

let tries = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** The daemon answered, with this HTTP status. */
export function answered(status: number): void {
  clearTimeout(timer);
  timer = undefined;
  tries = 0;
  const state = status === 401 ? "locked" : "up";
  if (link.peek() === state) return;
  link.value = state;
  if (state === "up") epoch.value += 1;
}

/** A request got no answer at all. */
export function unanswered(): void {
  link.value = "down";
  if (timer !== undefined) return;
  timer = setTimeout(probe, backoff(tries));
  tries += 1;
}

/** Asks whether the daemon is there, and knows this page. */
export async function probe(): Promise<void> {
  timer = undefined;
  try {
    answered((await fetch("/api/v1/status", { credentials: "same-origin" })).status);
  } catch {
    unanswered();
  }
}
