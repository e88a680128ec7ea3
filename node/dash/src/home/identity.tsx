import type { Status } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { format, text } from "../text/index.ts";
import { Facts } from "../ui/facts.tsx";
import { Panel } from "../ui/panel.tsx";
import { Shown } from "../ui/shown.tsx";

/** Which peer of which swarm these pages belong to. */
export function Identity() {
  const status = useResource<Status>("/status", { every_ms: 10_000 });
  const words = text().home;
  return (
    <Panel title={words.thisPeer}>
      <Shown of={status}>
        {(peer) => (
          <Facts
            facts={[
              [words.device, <span class="long">{peer.device}</span>],
              ...(peer.note === null ? [] : [[words.note, <span class="long">{peer.note}</span>] as const]),
              [words.swarm, peer.swarm_name],
              [words.peersKnown, format().count(peer.peers)],
              [words.stored, format().bytes(peer.blob_bytes)],
              [words.version, peer.version],
              [words.peerId, <code class="long">{peer.peer}</code>],
            ]}
          />
        )}
      </Shown>
    </Panel>
  );
}
