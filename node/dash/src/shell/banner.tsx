import { link } from "../data/link.ts";
import { text } from "../text/index.ts";
import { Prose } from "../ui/prose.tsx";

/** Says that the daemon does not answer. The live region stands there always, so that its first words are read out. */
export function Banner() {
  const words = text().shell;
  return (
    <div role="status" aria-live="assertive">
      {link.value === "down" && (
        <p class="note note-bad">
          <span class="note-what">{words.lost}</span> <Prose text={words.lostFix} ours />
        </p>
      )}
    </div>
  );
}
