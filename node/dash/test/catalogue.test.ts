import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PAGES } from "../src/router.ts";
import { en } from "../src/text/en.ts";
import { REASONS } from "../src/text/reasons.ts";
import { zh } from "../src/text/zh.ts";

/** Every text of a catalogue by its path; functions by how many values they take. */
function leaves(value: object, path = ""): Map<string, string | number> {
  const all = new Map<string, string | number>();
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    const at = `${path}/${key}`;
    if (typeof inner === "string") all.set(at, inner);
    else if (typeof inner === "function") all.set(at, inner.length);
    else for (const [deeper, leaf] of leaves(inner as object, at)) all.set(deeper, leaf);
  }
  return all;
}

test("both languages say the same things", () => {
  const [english, chinese] = [leaves(en), leaves(zh)];
  assert.deepEqual([...chinese.keys()].sort(), [...english.keys()].sort());
  for (const [path, leaf] of english) {
    if (typeof leaf === "number") assert.equal(chinese.get(path), leaf, `${path} takes other values`);
  }
});

test("nothing is left empty or in English", () => {
  // Words that are written the same in both: the state that says nothing.
  const same = new Set(["/submit/steps/draft"]);
  const english = leaves(en);
  for (const [path, leaf] of leaves(zh)) {
    if (same.has(path)) continue;
    assert.notEqual(leaf, "", path);
    if (typeof leaf === "string") assert.notEqual(leaf, english.get(path), path);
  }
});

test("what a reason means is said of each that there is, and of no other", () => {
  const reference = readFileSync("../../docs/reference/reasons.md", "utf8");
  const codes = [...reference.matchAll(/^\| `(\w+)` \|/gm)].map((row) => row[1] ?? "");
  assert.ok(codes.length > 90, `${codes.length} codes`);
  assert.deepEqual(Object.keys(REASONS.zh).sort(), codes.sort());
  const unknown = Object.keys(REASONS.en).filter((code) => !codes.includes(code));
  assert.deepEqual(unknown, []);
});

test("every page has a name", () => {
  for (const page of PAGES) assert.ok(en.nav[page] && zh.nav[page], page);
});
