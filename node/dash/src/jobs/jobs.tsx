import { useSignal } from "@preact/signals";
import type { Happening, JobLine } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { link } from "../router.ts";
import { Title } from "../shell/title.tsx";
import { format, text } from "../text/index.ts";
import { JobLink } from "../ui/ids.tsx";
import { Progress } from "../ui/progress.tsx";
import { Shown } from "../ui/shown.tsx";
import { secondsLeft } from "./pace.ts";
import { Refusals } from "./refusals.tsx";
import { State } from "./state.tsx";

const COLUMNS = 8;
/** Jobs shown at first: a home that has run for months has thousands. */
const FIRST = 100;

/** Whether a happening changes the list of this home's jobs. */
function concerns({ side, job }: Happening): boolean {
  return side === "requester" && job !== undefined;
}

/** The jobs of this home, the newest first. */
export function Jobs() {
  const jobs = useResource<{ jobs: JobLine[] }>("/jobs", { every_ms: 5000, when: concerns });
  const most = useSignal(FIRST);
  const words = text().jobs;
  return (
    <>
      <Title>{text().nav.jobs}</Title>
      <Shown of={jobs}>
        {({ jobs: all }) =>
          all.length === 0 ? (
            <p>
              {words.none} <a href={link("submit")}>{text().nav.submit}</a>
            </p>
          ) : (
            <>
              <Table jobs={all.slice(0, most.value)} />
              {all.length > most.value && (
                <button type="button" onClick={() => (most.value += FIRST)}>
                  {words.more(format().count(all.length - most.value))}
                </button>
              )}
            </>
          )
        }
      </Shown>
    </>
  );
}

function Table({ jobs }: { jobs: readonly JobLine[] }) {
  const words = text().jobs;
  return (
    <div class="panel scroll" tabIndex={0} role="group" aria-label={text().nav.jobs}>
      <table>
        <caption class="unseen">{text().nav.jobs}</caption>
        <thead>
          <tr>
            <th scope="col">{words.job}</th>
            <th scope="col">{words.state}</th>
            <th scope="col">{words.kernel}</th>
            <th scope="col">{words.progress}</th>
            <th scope="col" class="number">
              {words.receipts}
            </th>
            <th scope="col">{words.started}</th>
            <th scope="col" class="number">
              {words.time}
            </th>
            <th scope="col">{words.refusals}</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <Row key={job.job} job={job} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ job }: { job: JobLine }) {
  const open = useSignal(false);
  const words = text().jobs;
  const { count, moment } = format();
  return (
    <>
      <tr>
        <th scope="row">
          <JobLink job={job.job} />
        </th>
        <td>
          <State state={job.state} />
        </td>
        <td>{job.kernel}</td>
        <td>
          <Progress label={words.progress} done={job.done} of={job.slices} />
        </td>
        <td class="number">{count(job.receipts)}</td>
        <td class="line">{moment(job.started_s)}</td>
        <td class="number">
          <Time job={job} />
        </td>
        <td>
          <button type="button" class="link" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
            {open.value ? text().common.hide : text().common.show}
          </button>
        </td>
      </tr>
      {open.value && (
        <tr>
          <td colSpan={COLUMNS}>
            <Refusals job={job.job} />
          </td>
        </tr>
      )}
    </>
  );
}

function Time({ job }: { job: JobLine }) {
  const { duration } = format();
  const left = job.state === "running" ? secondsLeft(job.wall_s, job.done, job.slices) : null;
  return (
    <>
      {duration(job.wall_s)}
      {left !== null && <small> {text().jobs.left(duration(left))}</small>}
    </>
  );
}
