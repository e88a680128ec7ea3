/** The regions that peers name, on a map. In a chunk of its own, because the land's outline is long. */
import { format, text } from "../text/index.ts";
import type { Device } from "./device.ts";
import { LAND } from "./land.ts";
import { countRegions, type Place, type RegionCount } from "./regions.ts";

/** Degrees: from 180 W and 84 N, down to 60 S. */
const VIEW = "-180 -84 360 144";
const DOT = 3.5;
const DOT_MOST = 14;

interface Placed extends RegionCount {
  place: Place;
}

function isPlaced(count: RegionCount): count is Placed {
  return count.place !== null;
}

export function WorldMap({ devices }: { devices: readonly Device[] }) {
  const counts = countRegions(devices.map(({ region }) => region));
  const placed = counts.filter(isPlaced);
  const words = text().swarm;
  return (
    <>
      <svg class="map" viewBox={VIEW} role="img" aria-label={words.mapSummary(format().count(placed.length))}>
        <path id="land" class="map-land" d={LAND} />
        {/* What goes beyond one edge comes in at the other. */}
        <use href="#land" x={-360} />
        <use href="#land" x={360} />
        {placed.map((count) => (
          <Dot key={count.region} count={count} />
        ))}
      </svg>
      <p class="quiet">{words.mapNote}</p>
      <RegionList counts={counts} />
    </>
  );
}

/** Its area grows with the peers. */
function Dot({ count: { place, peers, region } }: { count: Placed }) {
  const [lon, lat] = place;
  const r = Math.min(DOT * Math.sqrt(peers), DOT_MOST);
  return (
    <g transform={`translate(${lon} ${-lat})`}>
      <title>{`${region}: ${peers}`}</title>
      <circle class="map-dot" r={r} />
      <text class="map-count" x={r + 1} y={2}>
        {format().count(peers)}
      </text>
    </g>
  );
}

/** The same as text, with the words that have no place. */
function RegionList({ counts }: { counts: readonly RegionCount[] }) {
  const words = text().swarm;
  const elsewhere = counts.filter(({ place }) => place === null);
  return (
    <>
      {elsewhere.length > 0 && (
        <p>
          {words.notOnMap}{" "}
          {elsewhere.map(({ region, peers }) => `${region || words.noRegion} (${format().count(peers)})`).join(", ")}
        </p>
      )}
      <details>
        <summary>{words.regionList}</summary>
        <ul class="lines">
          {counts.map(({ region, peers }) => (
            <li key={region}>
              {region || words.noRegion}: {words.peerCount(peers)}
            </li>
          ))}
        </ul>
      </details>
    </>
  );
}
