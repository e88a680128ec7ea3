import type { Work } from "../api.ts";
import type { Resource } from "../data/resource.ts";
import { short } from "../format.ts";
import { format, text } from "../text/index.ts";
import { Facts } from "../ui/facts.tsx";
import { Panel } from "../ui/panel.tsx";
import { Shown } from "../ui/shown.tsx";

/** What this machine computes for others now. */
export function Running({ work }: { work: Resource<Work> }) {
  const words = text().home;
  return (
    <Panel title={words.running}>
      <Shown of={work}>
        {({ running }) => (running.length === 0 ? <p class="quiet">{words.nothingRuns}</p> : <Slices running={running} />)}
      </Shown>
    </Panel>
  );
}

function Slices({ running }: { running: Work["running"] }) {
  const words = text().home;
  const { count, duration } = format();
  const now_s = Math.floor(Date.now() / 1000);
  return (
    <ul class="lines">
      {running.map(({ job, slice, since_s }) => (
        <li key={`${job} ${slice}`}>
          {words.sliceOf(count(slice), short(job))}, {duration(Math.max(now_s - since_s, 0))}
        </li>
      ))}
    </ul>
  );
}

/** What others have checked of its work since midnight, and what it has done for others since it started. */
export function Done({ work }: { work: Resource<Work> }) {
  const words = text().home;
  const { count, duration, measure } = format();
  const seconds = (us: number) => duration(us / 1e6);
  return (
    <Panel title={words.done}>
      <Shown of={work}>
        {({ today, usage }) => (
          <Facts
            facts={[
              [words.earned, count(today.slices)],
              [words.verified, count(today.tiles)],
              ...(today.joules !== null && today.units > 0
                ? [[words.energy, measure(today.joules / (today.units / 1e9), "J", 3)] as [string, string]]
                : []),
              [words.audited, count(usage.audit_tiles)],
              [words.auditTime, seconds(usage.audit_us)],
              [words.computed, count(usage.work_tiles)],
              [words.workTime, seconds(usage.work_us)],
            ]}
          />
        )}
      </Shown>
    </Panel>
  );
}
