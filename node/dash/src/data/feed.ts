/**
 * What happens, as the daemon tells it: one stream for all pages, because a browser keeps few connections to one host.
 */
import { effect } from "@preact/signals";
import type { Happening } from "../api.ts";
import { backoff } from "./backoff.ts";
import { API } from "./client.ts";
import { epoch, link, probe } from "./link.ts";

type Listener = (happening: Happening) => void;

const listeners = new Set<Listener>();
let last: string | null = null;
let source: EventSource | null = null;
let tries = 0;

/** Calls `listener` for everything that happens, until the returned function is called. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function open(): void {
  source?.close();
  // The browser sends Last-Event-ID when it comes back by itself; a new stream has to name the number.
  source = new EventSource(`${API}/events${last === null ? "" : `?after=${last}`}`);
  source.addEventListener("open", () => {
    tries = 0;
  });
  source.addEventListener("happening", (message) => {
    last = message.lastEventId;
    const happening = JSON.parse(message.data as string) as Happening;
    for (const listener of listeners) listener(happening);
  });
  // Whoever missed something asks for everything again.
  source.addEventListener("missed", () => {
    epoch.value += 1;
  });
  source.addEventListener("error", broken);
}

/** The browser comes back to a stream that broke, but not to one that was refused. */
function broken(): void {
  if (link.peek() === "up") void probe();
  if (source?.readyState !== EventSource.CLOSED) return;
  setTimeout(() => {
    if (link.peek() === "up" && source?.readyState === EventSource.CLOSED) open();
  }, backoff(tries));
  tries += 1;
}

/** Listens from now on, and anew whenever the daemon is back. */
export function startFeed(): void {
  effect(() => {
    epoch.value;
    if (link.value === "up" && source?.readyState !== EventSource.OPEN) open();
  });
}
