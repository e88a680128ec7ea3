import { effect, useSignal } from "@preact/signals";
import type { ComponentChild } from "preact";
import { useEffect } from "preact/hooks";
import { epoch } from "../data/link.ts";
import { text } from "../text/index.ts";

interface Props<M> {
  /** Fetches a part of the program that only some pages need. */
  load: () => Promise<M>;
  children: (module: M) => ComponentChild;
}

/** Shows something whose code is fetched when it is needed first, and again when a peer that was gone is back. */
export function Later<M extends object>({ load, children }: Props<M>) {
  const module = useSignal<M | null>(null);
  const failed = useSignal(false);

  useEffect(
    () =>
      effect(() => {
        epoch.value;
        if (module.peek() !== null) return;
        load().then(
          (here) => (module.value = here),
          () => (failed.value = true),
        );
      }),
    [],
  );

  if (module.value !== null) return <>{children(module.value)}</>;
  return <p class="quiet">{failed.value ? text().common.notLoaded : text().common.loading}</p>;
}
