import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, written, type Kind } from "../src/settings/value.ts";

const port: Kind = { type: "number", low: 1, high: 65_535 };
const region: Kind = { type: "text", low: 0, high: 4 };

test("numbers have to be whole and in range", () => {
  assert.deepEqual(parse(port, " 4001 "), { value: 4001, problem: null });
  for (const text of ["", "4.5", "-1", "1e3", "x"]) assert.equal(parse(port, text).problem?.word, "number", text);
  assert.equal(parse(port, "0").problem?.word, "range");
  assert.equal(parse(port, "65536").problem?.word, "range");
});

test("texts are measured in bytes, as the daemon does", () => {
  assert.equal(parse(region, "asia").problem, null);
  assert.equal(parse(region, "亚洲").problem?.word, "length");
});

test("lists are written one item a line, and read back the same", () => {
  const kind: Kind = { type: "addresses" };
  const value = ["/ip4/0.0.0.0/tcp/1", "/ip4/0.0.0.0/tcp/2"];
  assert.deepEqual(parse(kind, `\n${written(value)}\n\n`).value, value);
  assert.equal(parse(kind, "example.org:4001").problem?.word, "address");
  assert.deepEqual(parse({ type: "list" }, "blender\n game.exe ").value, ["blender", "game.exe"]);
  assert.equal(parse({ type: "list" }, "x\n".repeat(65)).problem?.word, "many");
});
