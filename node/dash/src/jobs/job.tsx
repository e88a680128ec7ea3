import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Job } from "../api.ts";
import { asFailure, put, type Failure } from "../data/client.ts";
import { useResource, type Resource } from "../data/resource.ts";
import { short } from "../format.ts";
import { link } from "../router.ts";
import { Title } from "../shell/title.tsx";
import { format, text } from "../text/index.ts";
import { announce, useAnnounced } from "../ui/announce.tsx";
import { Confirm } from "../ui/confirm.tsx";
import { Facts } from "../ui/facts.tsx";
import { Panel } from "../ui/panel.tsx";
import { Progress } from "../ui/progress.tsx";
import { FailureNote } from "../ui/reason.tsx";
import { Shown } from "../ui/shown.tsx";
import { Cheats } from "./cheats.tsx";
import { useHistory } from "./history.ts";
import { Keep } from "./keep.tsx";
import { secondsLeft } from "./pace.ts";
import { Picture } from "./picture.tsx";
import { ReopenedList } from "./refusals.tsx";
import { SliceGrid } from "./slice_grid.tsx";
import { State } from "./state.tsx";
import { Timeline } from "./timeline.tsx";
import { WhyNot } from "./why_not.tsx";
import { Workers } from "./workers.tsx";

/** How often the times of a job that runs are renewed. */
const EVERY_MS = 2000;

/** Kernels whose result is a picture. */
const PICTURES = new Set(["render", "fractal", "wgsl"]);

/** One job, from its submission to its receipts. */
export function JobPage({ id }: { id: string }) {
  const ended = useSignal(false);
  const job = useResource<Job>(`/jobs/${encodeURIComponent(id)}`, {
    ...(ended.value ? {} : { every_ms: EVERY_MS }),
    when: (happening) => happening.job?.startsWith(id) ?? false,
  });
  const state = job.value.value?.state;
  useEffect(() => {
    ended.value = state !== undefined && state !== "running";
  }, [state]);

  return (
    <>
      <Title>
        {text().jobs.job} <span class="id">{short(id)}</span>
      </Title>
      <p>
        <a href={link("jobs")}>{text().jobs.all}</a>
      </p>
      <Shown of={job}>{(value) => <Account job={value} resource={job} />}</Shown>
    </>
  );
}

function Account({ job, resource }: { job: Job; resource: Resource<Job> }) {
  const history = useHistory(job.job);
  useAnnounced(`${text().jobs.job} ${short(job.job)}: ${text().jobs.states[job.state]}`);
  const words = text().jobs;
  return (
    <>
      <Overview job={job} resource={resource} />
      <WhyNot job={job} />
      <div class="columns">
        {PICTURES.has(job.kernel) && <Picture job={job} />}
        <SliceGrid slices={job.slices} />
      </div>
      <Workers job={job} history={history.value ?? []} />
      <div class="columns">
        <Panel title={words.refusals}>
          <ReopenedList reopened={job.reopened} />
        </Panel>
        <Cheats job={job} />
      </div>
      <Keep job={job} />
      <Timeline history={history.value} />
    </>
  );
}

function Overview({ job, resource }: { job: Job; resource: Resource<Job> }) {
  const words = text().jobs;
  const { count, duration, moment, si } = format();
  const done = job.slices.filter(({ state }) => state === "done").length;
  const left = job.state === "running" ? secondsLeft(job.wall_s, done, job.slices.length) : null;
  return (
    <section class="panel" aria-label={words.overview}>
      <div class="row spread">
        <State state={job.state} />
        <Progress label={words.progress} done={done} of={job.slices.length} />
        {job.state === "running" && <Cancel job={job} resource={resource} />}
      </div>
      <Facts
        facts={[
          [words.kernel, job.kernel],
          [words.tiles, count(job.tiles)],
          [words.work, si(job.tiles * job.work.units_per_tile, words.units)],
          [words.started, moment(job.started_s)],
          [words.time, duration(job.wall_s)],
          ...(left === null ? [] : [[words.estimate, duration(left)] as const]),
          [words.firstSlice, duration(job.first_slice_ms === null ? null : job.first_slice_ms / 1000)],
          [words.receipts, count(job.receipts)],
          [words.heldBy, words.stewards(count(job.held_by.length), count(job.stewards))],
          [words.id, <code class="long">{job.job}</code>],
        ]}
      />
    </section>
  );
}

function Cancel({ job, resource }: { job: Job; resource: Resource<Job> }) {
  const failure = useSignal<Failure | null>(null);
  const words = text().jobs;

  async function cancel() {
    try {
      resource.set(await put<Job>("POST", `/jobs/${job.job}/cancel`));
      announce(words.cancelled);
    } catch (thrown) {
      failure.value = asFailure(thrown);
    }
  }

  return (
    <>
      <Confirm label={words.cancel} question={words.cancelQuestion} onYes={() => void cancel()} />
      <FailureNote failure={failure.value} />
    </>
  );
}
