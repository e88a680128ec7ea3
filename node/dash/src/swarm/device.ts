/** A peer's advert as a row of the explorer, and what it is found and sorted by. Pure. */
import type { CapacityProof, Connection, KernelOffer, PeerInfo, Reputation } from "../api.ts";
import type { Key } from "../ui/order.ts";

export type Standing = "convicted" | "unfit" | "trusted" | "newcomer" | "unknown";

export interface Claim extends KernelOffer {
  proof: CapacityProof | null;
}

export interface Device {
  peer: string;
  model: string;
  region: string;
  claims: Claim[];
  price: number | null;
  standing: Standing;
  path: "direct" | "relayed" | null;
  rtt_ms: number | null;
  software: string;
  free_slots: number;
  /** All that a filter looks at, in lower case. */
  haystack: string;
}

export const COLUMNS = ["model", "region", "claimed", "proven", "price", "standing", "path", "rtt", "slots", "software"] as const;
export type Column = (typeof COLUMNS)[number];

/** Worst first, so that sorting by it shows who to avoid. */
const STANDINGS: readonly Standing[] = ["convicted", "unfit", "unknown", "newcomer", "trusted"];

/** What this home thinks of a peer: the worst that either of its own two peers has seen. */
export function standingOf(views: readonly (Reputation | null)[]): Standing {
  const known = views.filter((view) => view !== null);
  if (known.some(({ convicted }) => convicted)) return "convicted";
  if (known.some(({ unfit }) => unfit)) return "unfit";
  const classes = known.flatMap((view) => view.classes);
  if (classes.some(({ trusted }) => trusted)) return "trusted";
  return classes.length > 0 ? "newcomer" : "unknown";
}

export function deviceOf(info: PeerInfo, connection: Connection | null): Device {
  const model = info.devices.map(({ name }) => name).join(", ");
  const claims = info.kernels.map((offer) => ({
    ...offer,
    proof: info.proofs.find(({ kernel }) => kernel === offer.kernel) ?? null,
  }));
  const prices = claims.map(({ price }) => price);
  return {
    peer: info.peer,
    model,
    region: info.region,
    claims,
    price: prices.length > 0 ? Math.min(...prices) : null,
    standing: standingOf([info.requester, info.lender]),
    path: connection && (connection.relay === null ? "direct" : "relayed"),
    rtt_ms: connection?.rtt_ms ?? null,
    software: info.software,
    free_slots: info.free_slots,
    haystack:
      `${info.peer} ${model} ${info.region} ${info.software} ${claims.map((claim) => claim.class).join(" ")}`.toLowerCase(),
  };
}

/** All devices of a list, each with how it is connected. */
export function devicesOf(peers: readonly PeerInfo[], connections: readonly Connection[]): Device[] {
  const by = new Map(connections.map((connection) => [connection.peer, connection]));
  return peers.map((info) => deviceOf(info, by.get(info.peer) ?? null));
}

/** Names of all kernels that somebody offers. */
export function classesOf(devices: readonly Device[]): string[] {
  return [...new Set(devices.flatMap(({ claims }) => claims.map((claim) => claim.class)))].sort();
}

export function claimOf(device: Device, name: string): Claim | null {
  return device.claims.find((claim) => claim.class === name) ?? null;
}

/** Keeps the devices that have every word of `query` somewhere. */
export function filtered(devices: readonly Device[], query: string): Device[] {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return devices.filter(({ haystack }) => words.every((word) => haystack.includes(word)));
}

/** What a column is sorted by, for the kernel whose speeds are shown. */
export function keyOf(column: Column, kernel: string): (device: Device) => Key {
  switch (column) {
    case "claimed":
      return (device) => claimOf(device, kernel)?.units_per_s ?? null;
    case "proven":
      return (device) => claimOf(device, kernel)?.proof?.measured ?? null;
    case "standing":
      return (device) => STANDINGS.indexOf(device.standing);
    case "rtt":
      return (device) => device.rtt_ms;
    case "slots":
      return (device) => device.free_slots;
    case "region":
      return (device) => device.region || null;
    default:
      return (device) => device[column];
  }
}
