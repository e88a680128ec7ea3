/**
 * The wire as PROTOCOL.md describes it, as far as adverts and names need it: encoding, digests, a swarm's id, boards.
 *
 * Nothing here was taken from the peers' own code: what does not fit is a bug there, here, or in that text.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { blake3 } from "@noble/hashes/blake3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

const SCOPES = ["local", "lan", "public"];
const DEVICES = ["cpu", "discrete", "integrated", "software", "other"];
const TIERS = ["tolerance", "canonical", "exact"];
const SIGNATURE_BYTES = 64;

/** The digest that PROTOCOL.md names `starling 2026-11 NAME v1`. */
export function derive(name, ...parts) {
  return blake3(concatBytes(...parts), { context: utf8ToBytes(`starling 2026-11 ${name} v1`) });
}

/** `bytes` bytes, little-endian. */
function le(value, bytes) {
  return Uint8Array.from({ length: bytes }, (_, n) => Number((BigInt(value) >> BigInt(8 * n)) & 255n));
}

/** An unsigned integer of more than one byte. */
export function varint(value) {
  const n = BigInt(value);
  if (n < 251n) return le(n, 1);
  const [marker, bytes] = n < 1n << 16n ? [251, 2] : n < 1n << 32n ? [252, 4] : [253, 8];
  return concatBytes(le(marker, 1), le(n, bytes));
}

function text(value) {
  const bytes = utf8ToBytes(value);
  return concatBytes(varint(bytes.length), bytes);
}

function option(bytes) {
  return bytes ? concatBytes(le(1, 1), bytes) : le(0, 1);
}

/** Reads values one after the other; throws where bytes are no encoding, or not the shortest. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  raw(length) {
    const end = this.at + Number(length);
    if (end > this.bytes.length) throw new Error(`it ends within a value, at byte ${this.bytes.length}`);
    const read = this.bytes.subarray(this.at, end);
    this.at = end;
    return read;
  }

  varint() {
    const [marker] = this.raw(1);
    if (marker < 251) return BigInt(marker);
    const bytes = { 251: 2, 252: 4, 253: 8 }[marker];
    if (!bytes) throw new Error(`no integer begins with ${marker}`);
    const value = this.raw(bytes).reduceRight((all, byte) => (all << 8n) | BigInt(byte), 0n);
    if (varint(value).length !== bytes + 1) throw new Error(`${value} is longer than needed`);
    return value;
  }

  bool() {
    const [byte] = this.raw(1);
    if (byte > 1) throw new Error(`${byte} is no bool`);
    return byte === 1;
  }

  key() {
    return bytesToHex(this.raw(32));
  }

  text() {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.raw(this.varint()));
  }

  variant(names) {
    const number = this.varint();
    const name = names[Number(number)];
    if (!name) throw new Error(`no variant ${number}`);
    return name;
  }

  list(read) {
    return Array.from({ length: Number(this.varint()) }, read);
  }

  end() {
    if (this.at !== this.bytes.length) throw new Error(`${this.bytes.length - this.at} bytes too many`);
  }
}

/** A swarm's id, from what `starling swarm show --json` says of its genesis. */
export function swarmId(genesis) {
  const { limits } = genesis;
  return derive(
    "genesis",
    varint(genesis.version),
    text(genesis.name),
    varint(SCOPES.indexOf(genesis.scope)),
    varint(genesis.slice_ms),
    varint(genesis.advert_ms),
    varint(genesis.shards),
    hexToBytes(genesis.salt),
    varint(limits.roster),
    varint(limits.input_mib),
    varint(limits.deadline_s),
    option(genesis.admission && hexToBytes(genesis.admission)),
  );
}

/** Where the stewards of a kernel class are found. */
export function board(swarm, shard, kernelClass) {
  return derive("board", swarm, le(shard, 2), utf8ToBytes(kernelClass));
}

/** Where the stewards of one job are found. */
export function jobBoard(swarm, job) {
  return derive("job board", swarm, hexToBytes(job));
}

/** Gossipsub's message ids. */
export function messageId(topic, data) {
  const name = utf8ToBytes(topic);
  return blake3(concatBytes(le(name.length, 8), name, data));
}

/** A signed advert: its fields, and whether the peer that it names has signed it for this swarm. */
export function readAdvert(swarm, bytes) {
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const signature = bytes.subarray(body.length);
  const reader = new Reader(body);
  const advert = {
    peer: reader.key(),
    number: reader.varint(),
    issuedS: Number(reader.varint()),
    goodbye: reader.bool(),
    devices: reader.list(() => ({ kind: reader.variant(DEVICES), name: reader.text() })),
    kernels: reader.list(() => ({
      kernel: reader.key(),
      class: reader.text(),
      tier: reader.variant(TIERS),
      unitsPerS: reader.varint(),
      price: reader.varint(),
    })),
    freeSlots: Number(reader.varint()),
    region: reader.text(),
    software: reader.text(),
  };
  reader.end();
  const digest = derive("advert", swarm, body);
  return { ...advert, signed: ed25519.verify(signature, digest, hexToBytes(advert.peer), { zip215: false }) };
}
