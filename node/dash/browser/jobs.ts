/** A job's page while the job runs: slices are done one after the other, and its picture grows with them. */
import assert from "node:assert/strict";
import type { Job } from "../src/api.ts";
import { inWindow, type Stage } from "./stage.ts";
import type { Window } from "./window.ts";

/** Some seconds for two idle cores; what matters is that slices end one after the other. */
const RENDER = ["run", "render", "bundled", "--size", "480x270", "--spp", "40", "-o", "teapots.png"];
const ENDED_MS = 90_000;
const EVERY_MS = 200;
const LAST_MS = 1500;
/** Pictures after which the job's page is worth a picture itself. */
const HALFWAY = 4;

interface Seen {
  running: boolean;
  ended: boolean;
  /** Slices that are drawn as done. */
  done: number;
  /** The address of the picture that is shown; null while there is none. */
  picture: string | null;
}

/** The pixels of every picture that was shown, kept in the page. */
type Kept = typeof globalThis & { kept?: Map<string, Uint8ClampedArray> };

/** What the page shows at this moment; a new picture is kept. */
function look({ page }: Window): Promise<Seen> {
  return page.evaluate(async () => {
    const has = (state: string) => document.querySelector(`main .state-${state}`) !== null;
    const done = document.querySelectorAll("main .slices .slice-done").length;
    const seen = { running: has("running"), ended: has("done"), done, picture: null };
    const shown = document.querySelector<HTMLImageElement>("img.picture");
    const kept = ((globalThis as Kept).kept ??= new Map());
    if (!shown) return seen;
    const picture = shown.src;
    if (kept.has(picture)) return { ...seen, picture };
    // It may be replaced at this moment.
    const whole = await shown.decode().then(
      () => shown.src === picture,
      () => false,
    );
    if (!whole) return seen;
    const canvas = new OffscreenCanvas(shown.naturalWidth, shown.naturalHeight);
    const context = canvas.getContext("2d");
    if (!context) return seen;
    context.drawImage(shown, 0, 0);
    kept.set(picture, context.getImageData(0, 0, canvas.width, canvas.height).data);
    return { ...seen, picture };
  });
}

/** How far each picture that was kept is from the last one: the sum over all pixels' colours. */
function distances({ page }: Window): Promise<Record<string, number>> {
  return page.evaluate(() => {
    const kept = [...((globalThis as Kept).kept ?? [])];
    const last = kept.at(-1)?.[1];
    const distance = (pixels: Uint8ClampedArray) => {
      let sum = 0;
      for (let at = 0; last && at < pixels.length; at += 1) sum += Math.abs((pixels[at] ?? 0) - (last[at] ?? 0));
      return sum;
    };
    return Object.fromEntries(kept.map(([address, pixels]) => [address, distance(pixels)]));
  });
}

/** Watches the page of a job from now to its end, and until it shows the whole picture. */
async function watch(window: Window, halfway: () => Promise<void>): Promise<Seen[]> {
  const seen: Seen[] = [];
  const end_ms = Date.now() + ENDED_MS;
  let pictured = false;
  while (!seen.at(-1)?.ended) {
    assert.ok(Date.now() < end_ms, `the page says within ${ENDED_MS / 1000} s that the job is done`);
    seen.push(await look(window));
    if (!pictured && new Set(seen.map(({ picture }) => picture)).size > HALFWAY) {
      pictured = true;
      await halfway();
    }
    await window.page.waitForTimeout(EVERY_MS);
  }
  const { page } = window;
  await page
    .locator("img.picture")
    .and(page.getByAltText(/(\d+) of \1 slices/))
    .waitFor();
  // The last picture is asked for up to a second later.
  await page.waitForTimeout(LAST_MS);
  return [...seen, await look(window)];
}

export async function grows(stage: Stage, say: (figure: string) => void): Promise<void> {
  const peer = stage.swarm.first;
  await inWindow(stage, async (window) => {
    const { job } = JSON.parse(await peer.command(...RENDER, "--detach", "--json")) as { job: string };
    stage.job = job;
    await window.expect("the job's picture grows while it runs, and the page sees its end", async () => {
      await window.visit("jobs", job);
      const seen = await watch(window, async () => {
        if (stage.pictures) await window.picture(stage.pictures, "job-running-en-light");
      });
      const running = seen.filter((one) => one.running);
      const done = [...new Set(running.map((one) => one.done))];
      assert.ok(done.length >= 3, `the page tells of slices as they are done: ${done.join(", ")}`);
      assert.deepEqual(
        done.toSorted((a, b) => a - b),
        done,
        "and none is taken back",
      );
      const distance = await distances(window);
      const far = [...new Set(running.flatMap(({ picture }) => (picture === null ? [] : [distance[picture] ?? 0])))];
      assert.ok(far.length >= 2, `the picture changes while the job runs: ${far.length} were seen`);
      // Each slice adds samples to all of it.
      assert.ok((far[0] ?? 0) > (far.at(-1) ?? 0), `it comes nearer to what it will be: ${far.join(", ")}`);
      const account = await peer.get<Job>(`/jobs/${job}`);
      assert.equal(account?.state, "done");
      say(`the picture of ${account.slices.length} slices was seen in ${far.length} stages while it grew`);
    });
    await window.expect("the list of jobs has it", async () => {
      await window.visit("jobs");
      await window.page.locator(`main a[href="#/jobs/${job}"]`).first().waitFor();
    });
  });
}
