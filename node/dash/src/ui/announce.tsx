/** Changes of state, said to those who do not see them. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const said = signal("");

export function announce(sentence: string): void {
  said.value = sentence;
}

/** Says a sentence whenever it has changed, but not the first one: whoever opens a page reads it there. */
export function useAnnounced(sentence: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) announce(sentence);
    first.current = false;
  }, [sentence]);
}

export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
