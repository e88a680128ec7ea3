import assert from "node:assert/strict";
import { test } from "node:test";
import { flagKey, flagsOf, isValid } from "../src/receipts/flags.ts";
import { en } from "../src/text/en.ts";

const receipt = { slice: 0, worker: "w", valid: true, verdict: "valid" };

test("a bundle is valid if it has receipts, and all of them are", () => {
  assert.equal(isValid({ receipts: [receipt] }), true);
  assert.equal(isValid({ receipts: [receipt, { ...receipt, valid: false }] }), false);
  assert.equal(isValid({ receipts: [] }), false);
  assert.equal(isValid({ error: "cut off", receipts: [receipt] }), false);
});

test("flags have one name, whoever tells them, and every one is explained", () => {
  assert.deepEqual(flagsOf({ weak: true, not_stored: false, missing_nonce: true }), ["weak", "missing_nonce"]);
  assert.deepEqual(flagsOf(undefined), []);
  assert.equal(flagKey("self-checked"), "self_checked");
  assert.equal(flagKey("not stored"), "not_stored");
  assert.deepEqual(Object.keys(en.receipts.flagMeanings), Object.keys(en.receipts.flagNames));
});
