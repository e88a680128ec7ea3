import assert from "node:assert/strict";
import { test } from "node:test";
import type { Happening, LogLine, Sample } from "../src/api.ts";
import { backoff } from "../src/data/backoff.ts";
import { column, thinned } from "../src/home/samples.ts";
import { attemptsOf } from "../src/jobs/attempts.ts";
import { merged } from "../src/jobs/history.ts";
import { secondsLeft } from "../src/jobs/pace.ts";
import { appended, looked } from "../src/logs/tail.ts";

function line(id: number, level: LogLine["level"] = "info"): LogLine {
  return { id, unix_ms: 0, level, target: "net", message: `line ${id}` };
}

function sample(at_s: number, watts: number | null): Sample {
  return {
    at_s,
    lends: true,
    gpu_pct: null,
    temperature_c: null,
    watts,
    memory_mib: null,
    memory_total_mib: null,
    cpu_pct: null,
  };
}

test("waits double up to 10 s", () => {
  assert.deepEqual([0, 1, 4, 5, 60].map(backoff), [500, 1000, 8000, 10_000, 10_000]);
});

test("the log keeps its newest lines, each once", () => {
  const lines = appended([line(1), line(2)], [line(2), line(3), line(4)], 3);
  assert.deepEqual(
    lines.map(({ id }) => id),
    [2, 3, 4],
  );
  assert.equal(appended(lines, [line(4)]), lines);
});

test("a level shows what is at least as grave", () => {
  const lines = [line(1, "error"), line(2, "debug"), line(3, "warn")];
  assert.deepEqual(
    looked(lines, "warn", "").map(({ id }) => id),
    [1, 3],
  );
  assert.deepEqual(
    looked(lines, "trace", "LINE 2").map(({ id }) => id),
    [2],
  );
});

test("a gauge that never said anything has no chart; a gap stays a gap", () => {
  const sensors = { every_s: 1, samples: [sample(1, 50), sample(2, null), sample(3, 70)] };
  assert.equal(column(sensors, "gpu_pct"), null);
  const watts = column(sensors, "watts");
  assert.deepEqual([watts?.low, watts?.high, watts?.now, watts?.values[1]], [50, 70, 70, null]);
  assert.ok(watts);
  assert.deepEqual(thinned(watts, 2), [
    { at_s: 3, value: 70 },
    { at_s: 1, value: 50 },
  ]);
});

test("a time without samples is a gap as well", () => {
  const watts = column({ every_s: 5, samples: [sample(0, 50), sample(5, 60), sample(3600, 70)] }, "watts");
  assert.deepEqual(
    [watts?.at_s, watts?.values],
    [
      [0, 5, 10, 3600],
      [50, 60, null, 70],
    ],
  );
});

test("a job's history has each happening once, in order, and no more than its bound", () => {
  const at = (id: number): Happening => ({ id, unix_ms: 0, side: "requester", event: "leased" });
  assert.deepEqual(
    merged([at(2), at(4)], [at(3), at(4), at(1)]).map(({ id }) => id),
    [1, 2, 3, 4],
  );
  const many = Array.from({ length: 600 }, (_, n) => at(n));
  assert.deepEqual([merged([], many).length, merged([], many)[0]?.id], [500, 100]);
});

test("an estimate needs two slices, and ends with the job", () => {
  assert.equal(secondsLeft(10, 1, 4), null);
  assert.equal(secondsLeft(10, 2, 4), 10);
  assert.equal(secondsLeft(10, 4, 4), null);
});

test("attempts are the requester's leases, and what became of them", () => {
  const at = { unix_ms: 0, job: "j", slice: 0, worker: "w" };
  const history: Happening[] = [
    { ...at, id: 1, side: "requester", event: "leased" },
    { ...at, id: 2, side: "requester", event: "slice_reopened", reason: "lease_expired" },
    { ...at, id: 3, side: "requester", event: "leased" },
    { ...at, id: 4, side: "lender", event: "leased" },
  ];
  assert.deepEqual(attemptsOf(history).get("w"), { leased: 2, lost: { lease_expired: 1 } });
});
