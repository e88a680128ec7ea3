import type { Connection, Net } from "../api.ts";
import { short } from "../format.ts";
import { format, text, wordFor } from "../text/index.ts";
import { Facts } from "../ui/facts.tsx";
import { PeerLink } from "../ui/ids.tsx";

/** More rays than this are a blot; the list has them all. */
const RAYS = 48;
const RADIUS = 80;

/** How this peer is connected: to whom, and which way. */
export function Topology({ net }: { net: Net }) {
  const words = text().swarm;
  const { count } = format();
  const connections = net.connections ?? [];
  return (
    <>
      {connections.length > 0 && <Star connections={connections} />}
      <Facts
        facts={[
          [words.direct, count(net.peers - net.relayed_peers)],
          [words.relayed, count(net.relayed_peers)],
          [words.punched, count(net.punched)],
          [words.scope, wordFor(words.scopes, net.scope)],
          [words.relaying, net.relaying ? text().common.yes : text().common.no],
        ]}
      />
      {net.connections === undefined ? <p class="quiet">{words.noConnections}</p> : <Connections connections={connections} />}
      <Addresses net={net} />
    </>
  );
}

function Star({ connections }: { connections: readonly Connection[] }) {
  const words = text().swarm;
  const rays = connections.slice(0, RAYS);
  const relayed = connections.filter(({ relay }) => relay !== null).length;
  const summary = words.starSummary(format().count(connections.length - relayed), format().count(relayed));
  return (
    <svg class="star" viewBox="-110 -110 220 220" role="img" aria-label={summary}>
      {rays.map((connection, n) => (
        <Ray key={connection.peer} connection={connection} turn={n / rays.length} />
      ))}
      <circle r={8} />
    </svg>
  );
}

/** A dashed line and a hollow end go over a relay. */
function Ray({ connection: { peer, relay }, turn }: { connection: Connection; turn: number }) {
  const angle = 2 * Math.PI * turn - Math.PI / 2;
  const [x, y] = [Math.cos(angle) * RADIUS, Math.sin(angle) * RADIUS];
  const kind = relay === null ? "star-direct" : "star-relayed";
  return (
    <g class={kind}>
      <title>{short(peer)}</title>
      <line x1={0} y1={0} x2={x} y2={y} />
      <circle cx={x} cy={y} r={5} />
    </g>
  );
}

function Connections({ connections }: { connections: readonly Connection[] }) {
  const words = text().swarm;
  return (
    <details>
      <summary>{words.connectionList}</summary>
      <ul class="lines">
        {connections.map(({ peer, relay, rtt_ms }) => (
          <li key={peer}>
            <PeerLink peer={peer} /> {relay === null ? words.paths.direct : words.overRelay(short(relay))},{" "}
            {format().measure(rtt_ms, "ms", 0)}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Where others find this peer. */
function Addresses({ net }: { net: Net }) {
  const words = text().swarm;
  return (
    <details>
      <summary>{words.addresses}</summary>
      <ul class="lines">
        {net.reachable.map(({ address, how }) => (
          <li key={address}>
            <code>{address}</code> ({how})
          </li>
        ))}
        {net.reachable.length === 0 && <li>{words.unreachable}</li>}
      </ul>
    </details>
  );
}
