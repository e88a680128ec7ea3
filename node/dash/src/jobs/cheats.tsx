import type { Job } from "../api.ts";
import { format, meaning, text } from "../text/index.ts";
import { PeerLink } from "../ui/ids.tsx";
import { Panel } from "../ui/panel.tsx";

/** Who was found out, by whom, and who accused wrongly. */
export function Cheats({ job }: { job: Job }) {
  const words = text().jobs;
  const { count } = format();
  return (
    <Panel title={words.cheats}>
      {job.cheats.length === 0 && <p class="quiet">{words.noCheats}</p>}
      <ul class="lines">
        {job.cheats.map(({ worker, slice, by, how }) => (
          <li key={`${worker} ${slice}`}>
            <PeerLink peer={worker} /> {words.inSlice(count(slice))}: {meaning(how)}
            {by !== null && (
              <>
                {" "}
                ({words.foundBy} <PeerLink peer={by} />)
              </>
            )}
          </li>
        ))}
      </ul>
      {job.false_accusations > 0 && <p>{words.falseAccusations(count(job.false_accusations))}</p>}
    </Panel>
  );
}
