// Writes src/swarm/land.ts: the world's land as one SVG path, from Natural Earth's 1:110m data.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { feature } from "topojson-client";

const require = createRequire(import.meta.url);
const world = JSON.parse(readFileSync(require.resolve("world-atlas/land-110m.json"), "utf8"));
const land = feature(world, world.objects.land);
const polygons = land.features.flatMap(({ geometry }) =>
  geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates,
);

// Half a degree is a pixel and a half at the widest. Antarctica is left out: nobody lends there, and it would take a fifth of the map.
const round = (degrees) => Math.round(degrees * 2) / 2;
const draw = (points) => {
  const rounded = points.map(([lon, lat]) => `${round(lon)} ${round(-lat)}`);
  const kept = rounded.filter((point, n) => n === 0 || point !== rounded[n - 1]);
  return kept.length > 3 ? `M${kept.join("L")}Z` : "";
};

// Land that crosses the date line would leap over the whole map: it goes on beyond the edge, and the map draws it there and here.
const ring = (points) => {
  let turn = 0;
  const unrolled = points.map(([lon, lat], n) => {
    const leap = n > 0 ? lon - points[n - 1][0] : 0;
    if (Math.abs(leap) > 180) turn -= 360 * Math.sign(leap);
    return [lon + turn, lat];
  });
  return draw(unrolled);
};
const south = (polygon) => polygon[0].every(([, lat]) => lat < -60);
const path = polygons
  .filter((polygon) => !south(polygon))
  .flatMap((polygon) => polygon.map(ring))
  .join("");

const text = `/**
 * The land of the world as one SVG path: x is degrees east (what crosses the date line goes beyond 180), y degrees south. Made by scripts/land.mjs.
 *
 * From world-atlas ${require("world-atlas/package.json").version} (ISC licence, copyright Michael Bostock), which is Natural Earth's 1:110m land, in the public domain.
 */
export const LAND =
  "${path}";
`;
writeFileSync(new URL("../src/swarm/land.ts", import.meta.url), text);
