/**
 * The pages of a real peer in a real browser, from the first code to a restart.
 *
 *   STARLING_BIN, CHROMIUM     what to run
 *   FOLDER, FAILURES           for what goes when all is over, and for what stays
 *   PICTURES                   for pictures of all pages; none are taken without it
 *
 * `scripts/browser` sets them. Invariant: peers and browser are gone when this is, and that within `MOST_MS`.
 */
import { after, test, type TestContext } from "node:test";
import { firstPaint, scrolling } from "./figures.ts";
import { grows } from "./jobs.ts";
import { pauseAndResume } from "./lending.ts";
import { everyPage, LOOKS } from "./pages.ts";
import { verified } from "./receipts.ts";
import { oneTimeCode, restart } from "./session.ts";
import type { Stage } from "./stage.ts";
import { hasPreflight, submits } from "./submit.ts";
import { Swarm } from "./swarm.ts";
import { startBrowser } from "./window.ts";

const PEERS = 3;
/** For everything. */
const MOST_MS = 170_000;

function given(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run scripts/browser`);
  return value;
}

const swarm = new Swarm();
let stage: Stage | null = null;

async function end(): Promise<void> {
  await Promise.allSettled([swarm.stop(), stage?.browser.close()]);
}

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => void end().then(() => process.exit(status)));
}
setTimeout(() => {
  console.error(`not done within ${MOST_MS / 1000} s: given up`);
  void end().then(() => process.exit(1));
}, MOST_MS).unref();

const folder = given("FOLDER");
try {
  await swarm.start(given("STARLING_BIN"), folder, PEERS);
  const browser = await startBrowser(given("CHROMIUM"));
  stage = { swarm, browser, folder, failures: given("FAILURES"), pictures: process.env["PICTURES"] || null, job: null };
} catch (error) {
  console.error(error);
  await end();
  process.exit(1);
}

after(end);

/** A way to say a figure beside a check's result. */
const sayIn = (context: TestContext) => (figure: string) => context.diagnostic(figure);

test("a code opens one session, for no script and no other site", () => oneTimeCode(stage));
test("first paint", (context) => firstPaint(stage, sayIn(context)));
test("a job's picture grows on its page", (context) => grows(stage, sayIn(context)));
test("receipts are downloaded, verified, and refused when tampered with", () => verified(stage));
test("jobs are submitted from the page", async (context) => {
  if (!(await hasPreflight(stage))) return context.skip("this build has no /preflight");
  return submits(stage);
});
test("pause and resume", () => pauseAndResume(stage));
for (const look of LOOKS) {
  test(`every page: ${look.language}, ${look.name}`, () => everyPage(stage, look));
}
test("a table of very many rows", (context) => scrolling(stage, sayIn(context)));
test("a browser that is left open over a restart", () => restart(stage));
