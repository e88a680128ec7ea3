/** Pages of one version must not talk to a daemon of another: whoever replaced the binary gets its pages. */
import { effect } from "@preact/signals";
import type { Status } from "../api.ts";
import { get } from "./client.ts";
import { epoch } from "./link.ts";

let first: string | null = null;

async function compare(): Promise<void> {
  try {
    const { version } = await get<Status>("/status");
    if (first !== null && first !== version) location.reload();
    first = version;
  } catch {
    // Whoever shows something says why there is no answer; the next epoch compares again.
  }
}

/** Compares now, and whenever the daemon comes back. */
export function watchVersion(): void {
  effect(() => {
    epoch.value;
    void compare();
  });
}
