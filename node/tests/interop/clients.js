/**
 * What a stranger with js-libp2p sees of an open swarm, and that it sees nothing of a closed one.
 *
 *   OPEN, ADDRESS             an open swarm (`starling swarm show --json`), and a peer of it
 *   LENDERS                   the keys of all its lending peers
 *   JOB, CLASS, REQUESTER     a job of it that runs, the class of its kernel, and who submitted it
 *   CLOSED, CLOSED_ADDRESS    a private swarm, and a peer of it
 *
 * `scripts/interop` sets them. Prints a line for each thing shown. Invariant: it ends within `MOST_MS`.
 */
import { isDeepStrictEqual } from "node:util";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { multiaddr } from "@multiformats/multiaddr";
import { protocols, stranger } from "./stranger.js";
import { board, jobBoard, readAdvert, swarmId } from "./wire.js";

const MOST_MS = 120_000;
const STEP_MS = 20_000;
/** Adverts come every `advert_ms`, and a mesh is joined within some heartbeats. */
const ADVERT_MS = 45_000;
/** How long nothing has to come of a closed swarm: a refused dialer's connection is closed within two seconds. */
const REFUSED_MS = 10_000;
const PING_MS = 3_000;
const TOPIC = "capacity/0";

function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run scripts/interop`);
  return value;
}

function shown(what, figure = "") {
  console.log(`ok   clients  ${what}${figure && `: ${figure}`}`);
}

function must(condition, what) {
  if (!condition) throw new Error(what);
}

/** Waits for one, and no longer than that. */
async function within(ms, what, promise, instead = () => "") {
  const { promise: late, reject } = Promise.withResolvers();
  const timer = setTimeout(() => reject(new Error(`not within ${ms / 1000} s: ${what}${instead()}`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The first event of that name that passes. */
function happens(target, name, passes = () => true) {
  return new Promise((done) => {
    target.addEventListener(name, function listener(event) {
      if (!passes(event.detail)) return;
      target.removeEventListener(name, listener);
      done(event.detail);
    });
  });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const keyOf = (peerId) => bytesToHex(peerId.publicKey.raw);

async function meets(client, swarm, address) {
  const names = protocols(swarm);
  const identified = happens(client, "peer:identify");
  const from = performance.now();
  const connection = await within(STEP_MS, "a connection", client.dial(multiaddr(address)));
  must(connection.encryption === "/noise" && connection.multiplexer === "/yamux/1.0.0", "it speaks Noise and yamux");
  shown("connects over TCP with Noise and yamux", `${Math.round(performance.now() - from)} ms`);

  const about = await within(STEP_MS, "identify", identified);
  must(about.protocolVersion === names.version, `protocol_version is ${names.version}, not ${about.protocolVersion}`);
  must(/^starling\/\d/.test(about.agentVersion), `the agent is starling, not ${about.agentVersion}`);
  shown("identify tells swarm and agent", `${about.protocolVersion}, ${about.agentVersion}`);
  const told = [`${names.gossip}/1.1.0`, names.kad, names.control, names.blob];
  const missing = told.filter((name) => !about.protocols.includes(name));
  must(missing.length === 0, `identify lacks ${missing}`);
  shown("identify lists the swarm's protocols", `${told.length} of ${about.protocols.length}`);

  shown("ping is answered", `${await within(STEP_MS, "a ping's answer", pinged(client, connection))} ms`);
  return connection;
}

/** Milliseconds. js-libp2p's Kademlia pings as well, and rust-libp2p only answers the stream that was opened last. */
async function pinged(client, { remotePeer, status }) {
  while (status === "open") {
    try {
      return await client.services.ping.ping(remotePeer, { signal: AbortSignal.timeout(PING_MS) });
    } catch {
      await pause(500);
    }
  }
  throw new Error("no connection is left to ping on");
}

/** Listens until every lender's advert has come. */
async function hears(client, swarm, lenders) {
  const { pubsub } = client.services;
  const adverts = new Map();
  const from = performance.now();
  const all = happens(pubsub, "message", ({ type, topic, data }) => {
    must(type === "unsigned" && topic === TOPIC, `nothing but unsigned messages in ${TOPIC}`);
    const advert = readAdvert(swarm, data);
    must(advert.signed, `${advert.peer}'s advert is signed`);
    adverts.set(advert.peer, { advert, data });
    return lenders.every((key) => adverts.has(key));
  });
  pubsub.subscribe(TOPIC);
  await within(ADVERT_MS, "adverts of all lenders", all, () => `, but ${adverts.size} of ${lenders.length}`);
  shown(`${TOPIC} brings every lender's advert`, `${lenders.length} in ${Math.round(performance.now() - from)} ms`);

  for (const key of lenders) {
    const { advert, data } = adverts.get(key);
    const late = Math.abs(Date.now() / 1000 - advert.issuedS);
    must(late < 120, `issued_s is now, not ${late} s off`);
    must(
      advert.kernels.some((offer) => offer.class === given("CLASS")),
      `${key} offers ${given("CLASS")}`,
    );
    for (const bit of [0, data.length * 4, data.length * 8 - 1]) {
      const other = Uint8Array.from(data);
      other[bit >> 3] ^= 1 << (bit & 7);
      must(!accepted(swarm, other), `bit ${bit} does not matter`);
    }
    must(
      !accepted(
        swarm.map((byte) => byte ^ 1),
        data,
      ),
      "its swarm does not matter",
    );
  }
  const { advert, data } = adverts.get(lenders[0]);
  const first = `${advert.peer.slice(0, 16)}, ${advert.devices[0]?.name}, ${advert.kernels.length} kernels`;
  shown("they decode to their last byte", `the first, of ${data.length} bytes, is ${first}`);
  shown("their BLAKE3 digests bear their peers' ed25519 signatures", `${lenders.length} of ${lenders.length}`);
  shown("with a bit changed, or for another swarm, they do not", `${lenders.length * 4} tries`);
}

function accepted(swarm, bytes) {
  try {
    return readAdvert(swarm, bytes).signed;
  } catch {
    return false;
  }
}

/** Asks Kademlia. A board's key is no multihash, but js-libp2p takes whatever has these bytes for a CID's. */
async function providers(client, key) {
  const found = new Set();
  const options = { signal: AbortSignal.timeout(STEP_MS) };
  for await (const event of client.services.dht.findProviders({ multihash: { bytes: key } }, options)) {
    if (event.name === "PROVIDER") for (const { id } of event.providers) found.add(keyOf(id));
  }
  return found;
}

async function finds(client, swarm, lenders) {
  const boards = [
    [`the board of class ${given("CLASS")}`, board(swarm, 0, given("CLASS"))],
    ["the job's own board", jobBoard(swarm, given("JOB"))],
  ];
  for (const [name, key] of boards) {
    const from = performance.now();
    let found = new Set();
    let stewards = [];
    while (stewards.length === 0) {
      must(performance.now() - from < STEP_MS, `${name} is provided by a lender, not only by ${[...found]}`);
      found = await providers(client, key);
      stewards = lenders.filter((lender) => found.has(lender));
    }
    must(found.has(given("REQUESTER")), `${name} is provided by the requester`);
    const who = `the requester and ${stewards.map((steward) => steward.slice(0, 8))}`;
    shown(`get_providers finds the stewards at ${name}`, `${who}, ${Math.round(performance.now() - from)} ms`);
  }
  const nobody = await providers(client, board(swarm, 0, "no such class"));
  must(nobody.size === 0, `the board of no class is provided by ${[...nobody]}`);
  shown("and nobody at a board of no class");
}

/** Whoever says in identify that it is of another swarm. */
async function foreign(swarm, address) {
  const client = await stranger(swarm, "ipfs/0.1.0");
  try {
    const closed = happens(client, "connection:close");
    await within(STEP_MS, "a connection", client.dial(multiaddr(address)));
    const from = performance.now();
    await within(STEP_MS, "the end of the connection", closed);
    shown("whoever names another swarm in identify is disconnected", `${Math.round(performance.now() - from)} ms`);
  } finally {
    await client.stop();
  }
}

async function refused(genesis, address) {
  const swarm = swarmId(genesis);
  const client = await stranger(swarm);
  const heard = [];
  try {
    client.addEventListener("peer:identify", ({ detail }) => heard.push(`identify: ${detail.protocolVersion}`));
    client.services.pubsub.addEventListener("message", () => heard.push("gossip"));
    client.services.pubsub.subscribe(TOPIC);
    const closed = happens(client, "connection:close");
    const from = performance.now();
    const connection = await within(STEP_MS, "a connection", client.dial(multiaddr(address))).catch(() => null);
    if (connection) {
      const answer = await Promise.allSettled([client.services.ping.ping(connection.remotePeer)]);
      if (answer[0].status === "fulfilled") heard.push("ping");
      await within(REFUSED_MS, "the end of the connection", closed);
    }
    const took = Math.round(performance.now() - from);
    const found = await providers(client, board(swarm, 0, given("CLASS"))).catch(() => new Set());
    if (found.size) heard.push("providers");
    await pause(1_000);
    must(heard.length === 0, `a private swarm told a stranger: ${heard}`);
    must(client.getPeers().length === 0, "no connection is left");
    shown("a private swarm closes the connection before identify, ping, gossip or boards", `after ${took} ms`);
  } finally {
    await client.stop();
  }
}

async function main() {
  const genesis = JSON.parse(given("OPEN"));
  const lenders = given("LENDERS").split(" ");
  const swarm = swarmId(genesis);
  must(isDeepStrictEqual(swarm, hexToBytes(genesis.swarm)), `the genesis makes ${bytesToHex(swarm)}, not ${genesis.swarm}`);
  shown("a swarm's id follows from its genesis", bytesToHex(swarm).slice(0, 32));
  const client = await stranger(swarm);
  try {
    const connection = await meets(client, swarm, given("ADDRESS"));
    await hears(client, swarm, lenders);
    await finds(client, swarm, lenders);
    must(connection.status === "open", "the connection lasts");
    shown("all of it on one connection");
  } finally {
    await client.stop();
  }
  await foreign(swarm, given("ADDRESS"));
  await refused(JSON.parse(given("CLOSED")), given("CLOSED_ADDRESS"));
}

setTimeout(() => {
  console.error(`not done within ${MOST_MS / 1000} s: given up`);
  process.exit(1);
}, MOST_MS);
main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
