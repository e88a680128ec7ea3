import assert from "node:assert/strict";
import { test } from "node:test";
import { formatOf, short, spans, UNKNOWN } from "../src/format.ts";

const en = formatOf("en");

/** Intl separates with several kinds of space. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

test("rates carry an SI prefix, and the next one when rounding reaches it", () => {
  assert.equal(plain(en.si(17_208_583_214, "/s")), "17.2 G/s");
  assert.equal(plain(en.si(999.96e6, "/s")), "1 G/s");
  assert.equal(plain(en.si(999, "/s")), "999 /s");
  assert.equal(plain(en.si(3.2e12, "work units")), "3.2 T work units");
  assert.equal(plain(en.si(12, "work units")), "12 work units");
  assert.equal(plain(en.si(0)), "0");
});

test("sizes count in steps of 1024", () => {
  assert.equal(plain(en.bytes(1536)), "1.5 KiB");
  assert.equal(plain(en.bytes(0)), "0 B");
});

test("what is not known is a dash, not a zero", () => {
  for (const text of [en.si(null), en.bytes(null), en.duration(null), en.measure(null, "W")]) assert.equal(text, UNKNOWN);
});

test("a span has two units at most, and no empty one", () => {
  assert.deepEqual(spans(3661), [
    [1, "hour"],
    [1, "minute"],
  ]);
  assert.deepEqual(spans(3600), [[1, "hour"]]);
  assert.deepEqual(spans(86_400 + 5), [[1, "day"]]);
  assert.deepEqual(spans(0.0807), [[81, "millisecond"]]);
  assert.deepEqual(spans(1.26), [[1.3, "second"]]);
  assert.deepEqual(spans(59.7), [[1, "minute"]]);
  assert.deepEqual(spans(0), [[0, "second"]]);
});

test("each language writes numbers its own way, through one cached object", () => {
  assert.equal(formatOf("en"), en);
  assert.equal(plain(formatOf("de").count(10_000)), "10.000");
  assert.match(formatOf("zh").duration(7200), /小时/);
});

test("an id is short enough to read and long enough to type", () => {
  assert.equal(short("b7f2f23244e8"), "b7f2f232");
});
