import type { Reason } from "../api.ts";
import type { Failure } from "../data/client.ts";
import { language } from "../data/preferences.ts";
import { meaning, text } from "../text/index.ts";
import { Prose } from "./prose.tsx";

type Weight = "quiet" | "warn" | "bad";

/** Why not, and what to do about it. */
export function ReasonNote({ reason, weight = "warn" }: { reason: Reason; weight?: Weight }) {
  const translated = language.value === "en" ? null : meaning(reason.code);
  return (
    <div class={`note note-${weight}`}>
      <p class="note-what">
        {translated ?? <Prose text={reason.what} />} <code class="note-code">{reason.code}</code>
      </p>
      {translated !== null && (
        <p>
          <Prose text={reason.what} />
        </p>
      )}
      {reason.fix && (
        <p>
          <span class="label">{text().common.fix}</span> <Prose text={reason.fix} />
        </p>
      )}
    </div>
  );
}

/** A request that failed. Silent where the banner says it for all. */
export function FailureNote({ failure }: { failure: Failure | null }) {
  if (failure === null || failure.silent) return null;
  if (failure.notOffered) return <p class="note note-quiet">{text().common.notOffered}</p>;
  return (
    <div role="alert">
      <ReasonNote reason={failure.reason} weight="bad" />
    </div>
  );
}
