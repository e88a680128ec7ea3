/**
 * What the daemon's local API takes and gives (`node/src/api`). Field names are the API's own; `null` means unknown.
 *
 * Every answer that is no success is a `Problem`.
 */

/** Why not: one typed value for CLI, API and pages. What there is none of is left out. */
export interface Reason {
  code: string;
  what: string;
  fix?: string | undefined;
  params?: Record<string, unknown> | undefined;
}

/** RFC 9457, with the reason's fields beside it. */
export interface Problem extends Reason {
  type: string;
  title: string;
  status: number;
  detail: string;
}

/** GET /status */
export interface Status {
  pid: number;
  version: string;
  peer: string;
  swarm: string;
  swarm_name: string;
  lends: boolean;
  device: string;
  note: string | null;
  peers: number;
  requester: string | null;
  blob_bytes: number;
}

/** GET /lend, and the answer to POST /lend {switch, for_s}. */
export interface Lend {
  lends: boolean;
  switch: "on" | "off" | "paused";
  /** Unix seconds; null while it is paused until somebody ends that. */
  paused_until_s: number | null;
  /** The reason that counts; null while it lends. */
  reason: Reason | null;
  /** All rules that speak against it now. */
  against: Reason[];
  since_s: number;
  readings: Readings;
  rules: LendRule[];
}

/** What the sensors say; null where there is no such sensor, or no rule that needs it. */
export interface Readings {
  idle_s: number | null;
  full_screen: boolean | null;
  /** The listed programs that run. */
  apps: string[] | null;
  foreign_gpu_pct: number | null;
  on_battery: boolean | null;
  temperature_c: number | null;
  memory_pct: number | null;
}

/** One rule, and what it would do now. */
export interface LendRule {
  /** The setting that holds it, such as `lend.idle_s`. */
  key: string;
  /** "off" if the rule is not set, "unknown" if its sensor is missing, "allows", "limits" what is lent, "forbids". */
  now: "off" | "unknown" | "allows" | "limits" | "forbids";
}

export interface LendOrder {
  switch: "on" | "off" | "pause";
  for_s?: number;
}

/** GET /sensors?span=hour|day */
export interface Sensors {
  every_s: number;
  samples: Sample[];
}

export interface Sample {
  at_s: number;
  lends: boolean;
  gpu_pct: number | null;
  temperature_c: number | null;
  watts: number | null;
  memory_mib: number | null;
  memory_total_mib: number | null;
  cpu_pct: number | null;
}

/** GET /work */
export interface Work {
  /** Earned since midnight: slices with a receipt, the tiles and work units in them, and what the device drew meanwhile. */
  today: { slices: number; tiles: number; units: number; joules: number | null };
  /** Slices that are being computed or audited. */
  running: { job: string; slice: number; since_s: number }[];
  usage: Usage;
}

/** Device time and tiles by purpose, since the peer started. */
export interface Usage {
  work_us: number;
  work_tiles: number;
  audit_us: number;
  audit_tiles: number;
  own_us: number;
  probe_us: number;
  probe_tiles: number;
}

export interface KernelOffer {
  kernel: string;
  class: string;
  tier: string;
  units_per_s: number;
  price: number;
}

/** An entry of GET /peers: an advert and what is known of it. */
export interface PeerInfo {
  peer: string;
  devices: { kind: string; name: string }[];
  kernels: KernelOffer[];
  region: string;
  software: string;
  free_slots: number;
  age_ms: number;
  lender: Reputation | null;
  requester: Reputation | null;
  proofs: CapacityProof[];
  [more: string]: unknown;
}

/** What a peer of this home has seen of another one. */
export interface Reputation {
  peer: string;
  convicted: boolean;
  unfit: boolean;
  classes: { class: string; cv: number; requesters: number; trusted: boolean; valid: number; audited: number; failed: number }[];
  auditor: { answered: number; silent: number; void: number; false_accusations: number };
  causes: { cause: string; class?: string; times?: number; cv?: number; requesters?: number; reason?: string }[];
}

/** What this home's requester has measured of a claim. */
export interface CapacityProof {
  kernel: string;
  standing: "unproven" | "proven" | "struck" | "mute";
  measured: number | null;
  probes: number;
}

/** GET /net */
export interface Net {
  scope: string;
  services: Record<string, boolean>;
  listening: string[];
  reachable: { address: string; how: string }[];
  asked: { address: string; problem: string | null }[];
  relays: { peer: string; address: string }[];
  relaying: boolean;
  gateway: string | null;
  peers: number;
  relayed_peers: number;
  punched: number;
  serves_kademlia: boolean;
  bootstrap: { address: string; problem: string | null; answered: boolean }[];
  /** Who is connected, and how; a daemon that leaves it out tells the numbers above only. */
  connections?: Connection[];
}

/** A connected peer. */
export interface Connection {
  peer: string;
  /** The relay that it is reached over; null if directly. */
  relay: string | null;
  rtt_ms: number | null;
}

export interface Peers {
  peers: PeerInfo[];
}

export type JobState = "running" | "done" | "cancelled" | "failed" | "interrupted";

/** An entry of GET /jobs. */
export interface JobLine {
  job: string;
  kernel: string;
  state: JobState;
  started_s: number;
  wall_s: number;
  done: number;
  slices: number;
  receipts: number;
  collected: boolean;
}

export interface Slice {
  state: "open" | "leased" | "committed" | "auditing" | "done";
  worker: string | null;
  tiles: number;
  auditors: string[];
  receipt: string | null;
  flags: string[];
  reopened: number;
  blob: string | null;
}

/** GET /jobs/{id} */
export interface Job {
  job: string;
  kernel: string;
  requester: string;
  state: JobState;
  why: Reason | null;
  output: string | null;
  work: { params: string; tile_bytes: number; units_per_tile: number; slice_tiles: number; inputs: string[] };
  started_s: number;
  wall_s: number;
  first_slice_ms: number | null;
  tiles: number;
  slices: Slice[];
  cheats: { worker: string; slice: number; by: string | null; how: string }[];
  false_accusations: number;
  reopened: Record<string, number>;
  stewards: number;
  held_by: string[];
  collected: boolean;
  workers: { peer: string; slices: number; tiles: number; audits: number }[];
  receipts: number;
  /** Files that the receipts are in: GET /jobs/{id}/bundle?part=N, from 0. */
  bundles: number;
  /** Events after this number are news. */
  event: number;
  /** The command that would submit it again; left out where the account does not tell. */
  cli?: string | null;
}

/** POST /bundles/verify, body: the bytes of a `.popw` file. */
export interface Verdict {
  /** Why the file is no bundle; then nothing else is known of it. */
  error?: string;
  job?: string;
  swarm?: string;
  swarm_name?: string;
  kernel?: string;
  requester?: string;
  slices?: number;
  roster?: number;
  receipts: ReceiptVerdict[];
}

/** What one receipt is worth. Only a valid one has what stands after `verdict`. */
export interface ReceiptVerdict {
  slice: number;
  worker: string;
  valid: boolean;
  verdict: string;
  units?: number;
  audited_units?: number;
  /** Whether its units count. */
  credited?: boolean;
  flags?: Record<string, boolean>;
  /** How many of its committee this home knows. */
  known?: number;
  committee?: number;
}

/** One of GET /settings; the answer to PUT /settings/{key} {value}, where null takes it out of the file. */
export interface Setting {
  key: string;
  about: string;
  value: string | number | string[];
  default: string | number | string[];
  /** Where the value comes from. */
  from: "default" | "file" | "variable" | "flag";
  kind: {
    type: "addresses" | "one_of" | "text" | "number" | "list";
    words?: string[] | null;
    /** The least and the most: of a number, or of a text's bytes. */
    low?: number | null;
    high?: number | null;
  };
  /** Whether it counts at once, or at the next start. */
  live: boolean;
}

/** One of GET /doctor. */
export interface Check {
  name: string;
  status: "ok" | "note" | "finding";
  what: string;
  fix: string | null;
}

/** One of GET /logs?after=N */
export interface LogLine {
  id: number;
  unix_ms: number;
  level: "error" | "warn" | "info" | "debug" | "trace";
  target: string;
  message: string;
}

/** What can be submitted: a scene, a shader, two matrices, or a fractal, which needs no file. */
export type Product = "render" | "wgsl" | "matmul" | "fractal";

/** Body of POST /preflight; the files were PUT to /blobs before. */
export interface PreflightOrder {
  product: Product;
  /** Blob ids by file name. */
  files: Record<string, string>;
  options: { size?: string; spp?: number; max_price?: number; full_audits?: boolean };
}

/** The answer of POST /preflight. A refusal about a place in a file has `file`, `line` and `column` (from 1) in its params. */
export interface Preflight {
  order: Record<string, unknown> | null;
  refusals: Reason[];
  tiles: number;
  units: number;
  /** Seconds at most and at least, and the price, least and most; null while nobody offers it. */
  estimate: { seconds: number; least_seconds: number; peers: number; price: [number, number] } | null;
  /** The same as a command. */
  cli: string;
}

/** `data` of a server-sent event `happening` (GET /events, /jobs/{id}/events); its `id` goes into Last-Event-ID. */
export interface Happening {
  id: number;
  unix_ms: number;
  side: "lender" | "requester";
  /** Which kind, such as "slice_done"; the kind's own fields stand beside it. */
  event: string;
  job?: string;
  slice?: number;
  [more: string]: unknown;
}
