import { useSignal } from "@preact/signals";
import { text } from "../text/index.ts";
import { announce } from "./announce.tsx";

/** A command to copy. */
export function Command({ line }: { line: string }) {
  const copied = useSignal(false);
  const words = text().common;

  async function copy() {
    await navigator.clipboard.writeText(line);
    copied.value = true;
    announce(words.copied);
    setTimeout(() => {
      copied.value = false;
    }, 2000);
  }

  return (
    <div class="command">
      <code tabIndex={0}>{line}</code>
      <button type="button" onClick={() => void copy()}>
        {copied.value ? words.copied : words.copy}
      </button>
    </div>
  );
}
