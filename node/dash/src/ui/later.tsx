import type { ComponentChild } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { text } from "../text/index.ts";

interface Props<M> {
  /** Fetches a part of the program that only some pages need. */
  load: () => Promise<M>;
  children: (module: M) => ComponentChild;
}

/** Shows something whose code is fetched when it is needed first. */
export function Later<M extends object>({ load, children }: Props<M>) {
  const module = useSignal<M | null>(null);
  useEffect(() => {
    void load().then((here) => {
      module.value = here;
    });
  }, []);
  return <>{module.value === null ? <p class="quiet">{text().common.loading}</p> : children(module.value)}</>;
}
