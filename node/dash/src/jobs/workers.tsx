import type { Happening, Job } from "../api.ts";
import { UNKNOWN } from "../format.ts";
import { format, meaning, text } from "../text/index.ts";
import { PeerLink } from "../ui/ids.tsx";
import { Panel } from "../ui/panel.tsx";
import { attemptsOf, type Attempts } from "./attempts.ts";

const NONE: Attempts = { leased: 0, lost: {} };

/** Who computed, who recomputed, and how often each tried. */
export function Workers({ job, history }: { job: Job; history: readonly Happening[] }) {
  const words = text().jobs;
  const { count } = format();
  const attempts = attemptsOf(history);
  const idle = [...attempts.keys()].filter((peer) => !job.workers.some((worker) => worker.peer === peer));
  const rows = [...job.workers, ...idle.map((peer) => ({ peer, slices: 0, tiles: 0, audits: 0 }))];
  return (
    <Panel title={words.workers}>
      {rows.length === 0 && <p class="quiet">{words.noWorkers}</p>}
      <div class="scroll" tabIndex={0} role="group" aria-label={words.workers}>
        <table>
          <caption class="unseen">{words.workers}</caption>
          <thead>
            <tr>
              <th scope="col">{words.worker}</th>
              <th scope="col" class="number">
                {words.slices}
              </th>
              <th scope="col" class="number">
                {words.tiles}
              </th>
              <th scope="col" class="number">
                {words.audits}
              </th>
              <th scope="col" class="number">
                {words.attempts}
              </th>
              <th scope="col">{words.lost}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ peer, slices, tiles, audits }) => (
              <tr key={peer}>
                <th scope="row">
                  <PeerLink peer={peer} />
                </th>
                <td class="number">{count(slices)}</td>
                <td class="number">{count(tiles)}</td>
                <td class="number">{count(audits)}</td>
                <td class="number">{count(Math.max((attempts.get(peer) ?? NONE).leased, slices))}</td>
                <td>{lostText((attempts.get(peer) ?? NONE).lost)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">{words.attemptsNote}</p>
    </Panel>
  );
}

function lostText(lost: Record<string, number>): string {
  const entries = Object.entries(lost);
  if (entries.length === 0) return UNKNOWN;
  return entries.map(([code, times]) => `${meaning(code)}: ${format().count(times)} ×`).join("; ");
}
