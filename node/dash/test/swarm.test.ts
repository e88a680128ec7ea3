import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerInfo, Reputation } from "../src/api.ts";
import { devicesOf, filtered, keyOf, standingOf } from "../src/swarm/device.ts";
import { sorted } from "../src/ui/order.ts";

function view(change: Partial<Reputation>): Reputation {
  const auditor = { answered: 0, silent: 0, void: 0, false_accusations: 0 };
  return { peer: "a", convicted: false, unfit: false, classes: [], auditor, causes: [], ...change };
}

function peer(name: string, units_per_s: number): PeerInfo {
  return {
    peer: name,
    devices: [{ kind: "discrete", name: `Card ${name}` }],
    kernels: [{ kernel: "k", class: "render", tier: "exact", units_per_s, price: 2 }],
    region: "eu",
    software: "starling 0.1.0",
    free_slots: 1,
    age_ms: 0,
    lender: null,
    requester: null,
    proofs: [],
  };
}

test("the worst that either peer of this home has seen counts", () => {
  const trusted = { class: "render", cv: 10, requesters: 3, trusted: true, valid: 10, audited: 0, failed: 0 };
  assert.equal(standingOf([view({ classes: [trusted] }), view({ convicted: true })]), "convicted");
  assert.equal(standingOf([view({ classes: [trusted] }), null]), "trusted");
  assert.equal(standingOf([null, null]), "unknown");
});

test("a filter looks for every word, anywhere", () => {
  const devices = devicesOf([peer("aa", 1), peer("bb", 2)], []);
  assert.deepEqual(
    filtered(devices, " CARD  bb ").map((device) => device.peer),
    ["bb"],
  );
  assert.equal(filtered(devices, "").length, 2);
  assert.equal(filtered(devices, "aa bb").length, 0);
});

test("speeds sort by the kernel that is shown, and a peer without it is last", () => {
  const devices = devicesOf([peer("slow", 1), { ...peer("none", 9), kernels: [] }, peer("fast", 2)], []);
  const order = sorted(devices, keyOf("claimed", "render"), true).map((device) => device.peer);
  assert.deepEqual(order, ["fast", "slow", "none"]);
});

test("a connection says the way and the time; without one neither is known", () => {
  const [a, b] = devicesOf([peer("a", 1), peer("b", 1)], [{ peer: "a", relay: "r", rtt_ms: 12 }]);
  assert.deepEqual([a?.path, a?.rtt_ms, b?.path, b?.rtt_ms], ["relayed", 12, null, null]);
});
