import type { Job } from "../api.ts";
import { API } from "../data/client.ts";
import { short } from "../format.ts";
import { format, text } from "../text/index.ts";
import { Command } from "../ui/command.tsx";
import { Panel } from "../ui/panel.tsx";

/** How the files of a kernel's results are called, where nobody named one. */
const ENDINGS: Readonly<Record<string, string>> = { render: "png", fractal: "png", matmul: "npy" };

function outputOf({ job, kernel, output }: Job): string {
  return output ?? `${short(job)}.${ENDINGS[kernel] ?? "bin"}`;
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** What to take away: receipts, result, and the command that does it again. */
export function Keep({ job }: { job: Job }) {
  const words = text().jobs;
  const { count } = format();
  const id = short(job.job);
  // Jobs of very many slices have several.
  const bundles = Array.from({ length: job.bundles }, (_, part) => (part === 0 ? `${id}.popw` : `${id}-${part + 1}.popw`));
  return (
    <Panel title={words.keep}>
      {job.receipts > 0 && (
        <>
          <ul class="lines">
            {bundles.map((file, part) => (
              <li key={file}>
                <a href={`${API}/jobs/${job.job}/bundle?part=${part}`} download={file}>
                  {words.download(count(job.receipts), count(part + 1), count(bundles.length))}
                </a>
              </li>
            ))}
          </ul>
          <p class="label">{words.verifyWith}</p>
          <Command line={`starling proof verify ${bundles.join(" ")}`} />
        </>
      )}
      {!job.collected && (
        <>
          <p class="label">{words.getWith}</p>
          <Command line={`starling job get ${id} -o ${quoted(outputOf(job))} --keep`} />
        </>
      )}
      {job.cli && (
        <>
          <p class="label">{words.againWith}</p>
          <Command line={job.cli} />
        </>
      )}
    </Panel>
  );
}
