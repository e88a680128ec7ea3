/**
 * What happened to one job: what the daemon still keeps of it, then what the common feed brings.
 *
 * The job's own stream is closed once it has told the past: every open stream takes one of the few connections that a
 * browser has for all tabs together.
 */
import { useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Happening } from "../api.ts";
import { API } from "../data/client.ts";
import { listen } from "../data/feed.ts";

/** The past is told without a pause as long as this. */
const QUIET_MS = 1000;
const MOST = 500;

/** `known` with `more`, each once, in their order, and the newest `MOST` only. Pure. */
export function merged(known: readonly Happening[], more: readonly Happening[]): Happening[] {
  const by = new Map([...known, ...more].map((one) => [one.id, one]));
  return [...by.values()].sort((a, b) => a.id - b.id).slice(-MOST);
}

/** The history; null until the past is told. */
export function useHistory(job: string): ReadonlySignal<Happening[] | null> {
  const history = useSignal<Happening[] | null>(null);

  useEffect(() => {
    history.value = null;
    let waiting: Happening[] = [];
    const past = new EventSource(`${API}/jobs/${job}/events?after=0`);
    let timer = setTimeout(flush, QUIET_MS);

    // Hundreds come at once: they are shown together.
    function flush() {
      past.close();
      history.value = merged(history.peek() ?? [], waiting);
      waiting = [];
    }
    past.addEventListener("happening", (message) => {
      waiting.push(JSON.parse(message.data as string) as Happening);
      clearTimeout(timer);
      timer = setTimeout(flush, QUIET_MS);
    });
    const stop = listen((happening) => {
      if (happening.job === job) history.value = merged(history.peek() ?? [], [happening]);
    });
    return () => {
      clearTimeout(timer);
      past.close();
      stop();
    };
  }, [job]);

  return history;
}
