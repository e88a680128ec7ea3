import assert from "node:assert/strict";
import { test } from "node:test";
import { OVERSCAN, rowsIn } from "../src/window.ts";

const ROW = 30;
const HEIGHT = 500;

test("the rows in view exist at every scroll position, and few others", () => {
  const count = 10_000;
  for (let top = 0; top <= count * ROW - HEIGHT; top += 997) {
    const { first, end } = rowsIn(top, HEIGHT, ROW, count);
    assert.ok(first * ROW <= top && end * ROW >= top + HEIGHT, `a gap at ${top} px`);
    assert.ok(end - first <= Math.ceil(HEIGHT / ROW) + 1 + 2 * OVERSCAN, `too many at ${top} px`);
  }
});

test("there are no rows beyond the ends", () => {
  assert.deepEqual(rowsIn(0, HEIGHT, ROW, 3), { first: 0, end: 3 });
  assert.deepEqual(rowsIn(0, HEIGHT, ROW, 0), { first: 0, end: 0 });
  // A filter that shortens the table under a scrolled view, and a browser that scrolls past the edge.
  assert.deepEqual(rowsIn(90_000, HEIGHT, ROW, 3), { first: 3, end: 3 });
  assert.equal(rowsIn(-200, HEIGHT, ROW, 100).first, 0);
});
