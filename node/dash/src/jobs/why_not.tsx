import type { Job, Reason } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { text } from "../text/index.ts";
import { Panel } from "../ui/panel.tsx";
import { ReasonNote } from "../ui/reason.tsx";
import { Shown } from "../ui/shown.tsx";

/** Why a job is not done. A job that is done has nothing to explain. */
export function WhyNot({ job }: { job: Job }) {
  return job.state === "done" ? null : <Reasons id={job.job} />;
}

function Reasons({ id }: { id: string }) {
  const why = useResource<{ reasons: Reason[] }>(`/jobs/${id}/why`, { every_ms: 5000, when: ({ job }) => job === id });
  return (
    <Panel title={text().jobs.whyNot}>
      <Shown of={why}>
        {({ reasons }) => (
          <>
            {reasons.map((reason, n) => (
              <ReasonNote key={n} reason={reason} weight={n === 0 ? "warn" : "quiet"} />
            ))}
            {reasons.length === 0 && <p class="quiet">{text().jobs.noReasons}</p>}
          </>
        )}
      </Shown>
    </Panel>
  );
}
