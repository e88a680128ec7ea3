/**
 * Where on the map a self-declared region stands. Pure.
 *
 * A region is a word that a peer's owner likes to tell, never a measured place; words that are not here are listed
 * beside the map.
 */

export type Place = readonly [lon: number, lat: number];

const PLACES: Readonly<Record<string, Place>> = {
  // Parts of the world.
  africa: [20, 5],
  "af-south": [22, -30],
  asia: [95, 40],
  "asia-east": [115, 32],
  "asia-south": [78, 22],
  "asia-southeast": [104, 5],
  ap: [110, 15],
  "ap-east": [114, 22],
  "ap-south": [78, 20],
  "ap-southeast": [104, 2],
  "ap-northeast": [139, 36],
  europe: [12, 50],
  eu: [12, 50],
  "eu-central": [10, 50.5],
  "eu-east": [25, 50],
  "eu-north": [17, 61],
  "eu-south": [13, 42],
  "eu-west": [0, 49],
  me: [47, 27],
  "middle-east": [47, 27],
  "north-america": [-98, 42],
  na: [-98, 42],
  oceania: [140, -25],
  sa: [-58, -15],
  "south-america": [-58, -15],
  "us-central": [-97, 39],
  "us-east": [-77, 39],
  "us-north": [-93, 45],
  "us-south": [-97, 31],
  "us-west": [-121, 40],
  // Countries, by ISO 3166-1.
  ae: [54, 24],
  ar: [-64, -34],
  at: [14, 47.5],
  au: [134, -25],
  bd: [90, 24],
  be: [4.5, 50.8],
  br: [-52, -10],
  ca: [-106, 56],
  ch: [8, 47],
  cl: [-71, -33],
  cn: [104, 35],
  co: [-74, 4],
  cz: [15.5, 50],
  de: [10, 51],
  dk: [9.5, 56],
  eg: [30, 27],
  es: [-4, 40],
  et: [40, 9],
  fi: [26, 63],
  fr: [2.5, 46.5],
  gb: [-2, 53],
  gr: [22, 39],
  hk: [114.2, 22.3],
  hu: [19.5, 47],
  id: [114, -2],
  ie: [-8, 53],
  il: [35, 31.5],
  in: [79, 22],
  ir: [53, 32],
  is: [-19, 65],
  it: [12.5, 42.5],
  jp: [138, 36],
  ke: [38, 0],
  kr: [128, 36.5],
  kz: [67, 48],
  ma: [-6, 32],
  mx: [-102, 23],
  my: [102, 4],
  ng: [8, 9.5],
  nl: [5.5, 52],
  no: [9, 61],
  nz: [172, -42],
  pe: [-75, -10],
  ph: [122, 12],
  pk: [70, 30],
  pl: [19, 52],
  pt: [-8, 39.5],
  ro: [25, 46],
  rs: [21, 44],
  ru: [90, 61],
  se: [16, 62],
  sg: [103.8, 1.3],
  th: [101, 15],
  tr: [35, 39],
  tw: [121, 23.7],
  ua: [31, 49],
  uk: [-2, 53],
  us: [-98, 39],
  uz: [64, 41],
  ve: [-66, 7],
  vn: [107, 16],
  za: [24, -29],
};

/** Every word that has a place. */
export const KNOWN_REGIONS: readonly string[] = Object.keys(PLACES);

/** The place of a word, however it is written: `EU_West`, `us-east-1`. */
export function placeOf(region: string): Place | null {
  const word = region
    .trim()
    .toLowerCase()
    .replace(/[\s_]+/g, "-")
    .replace(/-?\d+[a-z]?$/, "");
  return Object.hasOwn(PLACES, word) ? (PLACES[word] ?? null) : null;
}

export interface RegionCount {
  region: string;
  peers: number;
  place: Place | null;
}

/** How many peers name which region, the most first; an empty word is a region of its own. */
export function countRegions(regions: readonly string[]): RegionCount[] {
  const counts = new Map<string, number>();
  for (const region of regions) counts.set(region, (counts.get(region) ?? 0) + 1);
  return [...counts]
    .map(([region, peers]) => ({ region, peers, place: placeOf(region) }))
    .sort((a, b) => b.peers - a.peers || (a.region < b.region ? -1 : 1));
}
