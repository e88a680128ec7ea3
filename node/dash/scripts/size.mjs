// Says what the pages weigh, compressed as they travel, and fails above the budget.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET_KB = 150;
const dist = new URL("../dist/", import.meta.url);
const kb = (name) => gzipSync(readFileSync(new URL(name, dist)), { level: 9 }).length / 1000;

const sizes = readdirSync(dist, { recursive: true })
  .filter((name) => /\.(js|css)$/.test(name))
  .map((name) => [name, kb(name)]);
for (const [name, size] of sizes) console.log(`${name.padEnd(12)} ${size.toFixed(1).padStart(6)} kB compressed`);
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
console.log(`${"together".padEnd(12)} ${total.toFixed(1).padStart(6)} kB of at most ${BUDGET_KB} kB`);
if (total > BUDGET_KB) process.exit(1);
