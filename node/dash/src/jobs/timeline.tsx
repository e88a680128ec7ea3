import type { Happening } from "../api.ts";
import { format, meaning, text, wordFor } from "../text/index.ts";
import { PeerLink } from "../ui/ids.tsx";
import { Panel } from "../ui/panel.tsx";

/** The newest of what happened; all of it would be longer than anybody reads. */
const SHOWN = 100;

export function Timeline({ history }: { history: readonly Happening[] | null }) {
  const words = text().jobs;
  const newest = (history ?? []).slice(-SHOWN).reverse();
  return (
    <Panel title={words.timeline}>
      {newest.length === 0 && <p class="quiet">{history === null ? text().common.loading : words.noTimeline}</p>}
      <ol class="timeline">
        {newest.map((happening) => (
          <li key={happening.id}>
            <Moment happening={happening} />
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Moment({ happening: { unix_ms, event, slice, worker, reason } }: { happening: Happening }) {
  const words = text().jobs;
  return (
    <>
      <time>{format().clock(unix_ms)}</time> {wordFor(words.events, event)}
      {slice !== undefined && ` ${words.inSlice(format().count(slice))}`}
      {typeof worker === "string" && (
        <>
          {" "}
          <PeerLink peer={worker} />
        </>
      )}
      {typeof reason === "string" && `: ${meaning(reason)}`}
    </>
  );
}
