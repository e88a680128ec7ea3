import type { Job } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { format, meaning, text } from "../text/index.ts";
import { Shown } from "../ui/shown.tsx";

/** Why slices of a job had to be leased again, for a row that was opened. */
export function Refusals({ job }: { job: string }) {
  const account = useResource<Job>(`/jobs/${job}`);
  return <Shown of={account}>{({ reopened }) => <ReopenedList reopened={reopened} />}</Shown>;
}

export function ReopenedList({ reopened }: { reopened: Record<string, number> }) {
  const words = text().jobs;
  const entries = Object.entries(reopened).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return <p class="quiet">{words.noRefusals}</p>;
  return (
    <ul class="lines">
      {entries.map(([code, times]) => (
        <li key={code}>
          {meaning(code)} <code>{code}</code>: {format().count(times)} ×
        </li>
      ))}
    </ul>
  );
}
