import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Net, Peers } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { Title } from "../shell/title.tsx";
import { text } from "../text/index.ts";
import { Later } from "../ui/later.tsx";
import { Panel } from "../ui/panel.tsx";
import { Shown } from "../ui/shown.tsx";
import { devicesOf } from "./device.ts";
import { Explorer } from "./explorer.tsx";
import { PeerDetail } from "./peer_detail.tsx";
import { Topology } from "./topology.tsx";

/** A list of so many peers is megabytes: it is asked for less often, and not for every one that comes. */
const MANY = 1000;
const EVERY_MS = 10_000;
const EVERY_MS_OF_MANY = 60_000;

const COMINGS = new Set(["peer_seen", "peer_gone", "claim_struck", "fraud_proven"]);

/** Who is there, with what, where, and over which ways. */
export function Swarm({ chosen }: { chosen: string | null }) {
  const many = useSignal(false);
  const peers = useResource<Peers>("/peers", {
    every_ms: many.value ? EVERY_MS_OF_MANY : EVERY_MS,
    when: ({ event }) => !many.peek() && COMINGS.has(event),
  });
  const net = useResource<Net>("/net", { every_ms: 10_000 });
  const words = text().swarm;

  const list = peers.value.value?.peers;
  const connections = net.value.value?.connections;
  const devices = useMemo(() => devicesOf(list ?? [], connections ?? []), [list, connections]);

  useEffect(() => {
    many.value = devices.length >= MANY;
  }, [devices.length]);

  return (
    <>
      <Title>{text().nav.swarm}</Title>
      {chosen !== null && <PeerDetail key={chosen} id={chosen} />}
      <Shown of={peers}>{() => <Explorer devices={devices} current={chosen} />}</Shown>
      <div class="columns">
        <Panel title={words.map}>
          <Later load={() => import("./world_map.tsx")}>{({ WorldMap }) => <WorldMap devices={devices} />}</Later>
        </Panel>
        <Panel title={words.topology}>
          <Shown of={net}>{(value) => <Topology net={value} />}</Shown>
        </Panel>
      </div>
    </>
  );
}
