/**
 * A peer made of js-libp2p's parts, as somebody would put them together who has read PROTOCOL.md's "Transport".
 *
 * It listens nowhere and stores nothing; what it takes part in is what its caller asks for.
 */
// js-libp2p takes it for granted, and Node.js has it from 22 on.
Promise.withResolvers ??= function withResolvers() {
  const made = {};
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const { gossipsub } = await import("@libp2p/gossipsub");
const { identify } = await import("@libp2p/identify");
const { kadDHT, passthroughMapper } = await import("@libp2p/kad-dht");
const { noise } = await import("@libp2p/noise");
const { ping } = await import("@libp2p/ping");
const { tcp } = await import("@libp2p/tcp");
const { yamux } = await import("@libp2p/yamux");
const { createLibp2p } = await import("libp2p");
import { bytesToHex } from "@noble/hashes/utils.js";
import { messageId } from "./wire.js";

/** The names of a swarm's protocols. */
export function protocols(swarm) {
  const root = `/starling/${bytesToHex(swarm).slice(0, 32)}`;
  return {
    version: `${root}/1`,
    gossip: `${root}/gossip`,
    kad: `${root}/kad/1`,
    control: `${root}/control/1`,
    blob: `${root}/blob/1`,
  };
}

/** identify, under libp2p's own name, but with another `protocol_version`: js-libp2p's options change both or none. */
const identifyAs = (version) => (components) => {
  const service = identify()(components);
  service.host.protocolVersion = version;
  return service;
};

/** gossipsub, anonymous, under the swarm's own name: js-libp2p's option of that name changes nothing. */
const gossipAs = (name) => (components) => {
  const service = gossipsub({
    globalSignaturePolicy: "StrictNoSign",
    msgIdFn: ({ topic, data }) => messageId(topic, data),
    fallbackToFloodsub: false,
  })(components);
  service.protocols = [name];
  return service;
};

/** A client that says `version` of itself and speaks `swarm`'s protocols. */
export async function stranger(swarm, version = protocols(swarm).version) {
  const names = protocols(swarm);
  return createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identifyAs(version),
      ping: ping(),
      pubsub: gossipAs(`${names.gossip}/1.1.0`),
      dht: kadDHT({
        protocol: names.kad,
        clientMode: true,
        // Loopback is where everything is.
        peerInfoMapper: passthroughMapper,
      }),
    },
  });
}
