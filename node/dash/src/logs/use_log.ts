/** Asks for new log lines, as long as somebody follows. */
import { effect, useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { LogLine } from "../api.ts";
import { asFailure, get, type Failure } from "../data/client.ts";
import { itemsOf, type Listed } from "../data/listed.ts";
import { epoch, link } from "../data/link.ts";
import { appended } from "./tail.ts";

const EVERY_MS = 1000;

export interface Log {
  lines: ReadonlySignal<readonly LogLine[]>;
  failure: ReadonlySignal<Failure | null>;
}

export function useLog(follow: ReadonlySignal<boolean>): Log {
  const lines = useSignal<readonly LogLine[]>([]);
  const failure = useSignal<Failure | null>(null);

  useEffect(() => {
    let asking = false;

    async function ask() {
      const kept = lines.peek();
      const after = kept[kept.length - 1]?.id ?? 0;
      asking = true;
      try {
        const more = await get<Listed<LogLine, "lines">>(`/logs?after=${after}`);
        lines.value = appended(lines.peek(), itemsOf(more, "lines"));
        failure.value = null;
      } catch (thrown) {
        failure.value = asFailure(thrown);
      }
      asking = false;
    }

    const timer = setInterval(() => {
      if (!asking && follow.peek() && !document.hidden && link.peek() === "up" && !failure.peek()?.notOffered) void ask();
    }, EVERY_MS);
    // A daemon that started anew numbers its lines anew.
    const stop = effect(() => {
      epoch.value;
      lines.value = [];
      void ask();
    });
    return () => {
      clearInterval(timer);
      stop();
    };
  }, []);

  return { lines, failure };
}
