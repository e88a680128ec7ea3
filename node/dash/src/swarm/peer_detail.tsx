import type { PeerInfo, Reputation } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { UNKNOWN } from "../format.ts";
import { link } from "../router.ts";
import { format, text, wordFor } from "../text/index.ts";
import { Facts } from "../ui/facts.tsx";
import { Panel } from "../ui/panel.tsx";
import { Shown } from "../ui/shown.tsx";
import { deviceOf, standingOf, type Claim } from "./device.ts";

/** All that is known of one peer: what it says, what was measured, and what this home has seen of it. */
export function PeerDetail({ id }: { id: string }) {
  const peer = useResource<PeerInfo>(`/peers/${encodeURIComponent(id)}`, { every_ms: 10_000 });
  const words = text().swarm;
  return (
    <Panel title={words.onePeer} tools={<a href={link("swarm")}>{text().common.close}</a>}>
      <Shown of={peer}>
        {(info) => (
          <>
            <Facts
              facts={[
                [words.peer, <code class="long">{info.peer}</code>],
                [words.columns.model, info.devices.map(({ kind, name }) => `${name} (${kind})`).join(", ")],
                [words.columns.region, info.region || UNKNOWN],
                [words.columns.software, info.software],
                [words.columns.slots, format().count(info.free_slots)],
                [words.heard, format().duration(info.age_ms / 1000)],
                [words.columns.standing, words.standings[standingOf([info.requester, info.lender])]],
              ]}
            />
            <Claims claims={deviceOf(info, null).claims} />
            <Seen title={words.seenByRequester} view={info.requester} />
            <Seen title={words.seenByLender} view={info.lender} />
          </>
        )}
      </Shown>
    </Panel>
  );
}

function Claims({ claims }: { claims: Claim[] }) {
  const words = text().swarm;
  const { si, count } = format();
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={words.kernels}>
      <table>
        <caption class="unseen">{words.kernels}</caption>
        <thead>
          <tr>
            <th scope="col">{words.kernel}</th>
            <th scope="col">{words.tier}</th>
            <th scope="col" class="number">
              {words.columns.claimed}
            </th>
            <th scope="col" class="number">
              {words.columns.proven}
            </th>
            <th scope="col">{words.proof}</th>
            <th scope="col" class="number">
              {words.columns.price}
            </th>
          </tr>
        </thead>
        <tbody>
          {claims.map((claim) => (
            <tr key={claim.kernel}>
              <th scope="row">{claim.class}</th>
              <td>{claim.tier}</td>
              <td class="number">{si(claim.units_per_s, "/s")}</td>
              <td class="number">{si(claim.proof?.measured ?? null, "/s")}</td>
              <td>{words.proofs[claim.proof?.standing ?? "unproven"]}</td>
              <td class="number">{count(claim.price)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Seen({ title, view }: { title: string; view: Reputation | null }) {
  if (view === null) return null;
  const words = text().swarm;
  const { count } = format();
  const { answered, silent } = view.auditor;
  return (
    <>
      <h3>{title}</h3>
      <ul class="lines">
        {view.classes.map((work) => (
          <li key={work.class}>{words.workSeen(work.class, count(work.valid), count(work.audited), count(work.failed))}</li>
        ))}
        <li>{words.auditsSeen(count(answered), count(silent))}</li>
        {view.causes.map((cause, n) => (
          <li key={n}>
            {wordFor(words.causes, cause.cause)}
            {cause.class !== undefined && ` (${cause.class})`}
          </li>
        ))}
      </ul>
    </>
  );
}
