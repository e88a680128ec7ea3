import assert from "node:assert/strict";
import { test } from "node:test";
import { pressed, sorted } from "../src/ui/order.ts";

test("numbers sort as numbers, and what is not known is last both ways", () => {
  const rows = [10, null, 9, 100];
  assert.deepEqual(
    sorted(rows, (n) => n, false),
    [9, 10, 100, null],
  );
  assert.deepEqual(
    sorted(rows, (n) => n, true),
    [100, 10, 9, null],
  );
});

test("equal rows keep their order, and the input is left alone", () => {
  const rows = ["b1", "a1", "b2", "a2"];
  assert.deepEqual(
    sorted(rows, (row) => row[0] ?? null, true),
    ["b1", "b2", "a1", "a2"],
  );
  assert.equal(rows[0], "b1");
});

test("a second press on a header turns round, another header begins anew", () => {
  const first = pressed({ column: "a", down: false }, "a");
  assert.deepEqual(first, { column: "a", down: true });
  assert.deepEqual(pressed(first, "b"), { column: "b", down: false });
});
