import assert from "node:assert/strict";
import { test } from "node:test";
import { countRegions, KNOWN_REGIONS, placeOf } from "../src/swarm/regions.ts";

test("every region of the table stands on the map, and fits an advert", () => {
  for (const region of KNOWN_REGIONS) {
    const place = placeOf(region);
    assert.ok(place, region);
    assert.ok(Math.abs(place[0]) <= 180 && place[1] > -60 && place[1] < 84, region);
    assert.ok(region.length <= 16, `${region} is longer than an advert's region may be`);
  }
});

test("a word is known however it is written", () => {
  for (const word of ["EU-West", " eu_west ", "eu west", "eu-west-1", "eu-west-2b"])
    assert.deepEqual(placeOf(word), [0, 49], word);
});

test("what is no region has no place", () => {
  for (const word of ["", "mars", "constructor", "__proto__"]) assert.equal(placeOf(word), null, word);
});

test("regions are counted, the most first", () => {
  const counts = countRegions(["eu", "", "us", "eu", ""]);
  assert.deepEqual(
    counts.map(({ region, peers }) => [region, peers]),
    [
      ["", 2],
      ["eu", 2],
      ["us", 1],
    ],
  );
});
