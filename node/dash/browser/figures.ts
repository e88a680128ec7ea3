/** How fast it is. Said, never asserted: that is the machine's doing as well. */
import { inWindow, type Stage } from "./stage.ts";
import type { PeerInfo } from "../src/api.ts";
import { PLAIN, Window } from "./window.ts";

const ROWS = 10_000;
const SCROLL_MS = 2000;

type Say = (figure: string) => void;

/** From the address to the first paint, and to a page that says whether the peer lends, in a browser that has nothing yet. */
export async function firstPaint(stage: Stage, say: Say): Promise<void> {
  const window = await Window.empty(stage.browser, stage.swarm.first, PLAIN, stage.failures);
  try {
    await window.expect("the first page is painted", async () => {
      await window.page.goto(await window.address());
      await window.page.locator(".lend-word").waitFor();
      const figures = await window.page.evaluate(() => ({
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
        said: performance.now(),
      }));
      const ms = (value: number | undefined) => (value === undefined ? "unknown" : `${Math.round(value)} ms`);
      say(`first paint after ${ms(figures.paint)}, lending or not is said after at most ${ms(figures.said)}`);
    });
  } finally {
    await window.close();
  }
}

function many(like: PeerInfo): PeerInfo[] {
  return Array.from({ length: ROWS }, (_, n) => ({
    ...like,
    peer: n.toString(16).padStart(64, "0"),
    kernels: like.kernels.map((offer) => ({ ...offer, units_per_s: offer.units_per_s * (1 + (n % 997) / 100) })),
  }));
}

/** Scrolls the table of a swarm of ten thousand, of which the peer knows three: the others are made up on the way. */
export async function scrolling(stage: Stage, say: Say): Promise<void> {
  await inWindow(stage, async (window) => {
    const { page, words } = window;
    await page.route("**/api/v1/peers", async (route) => {
      const answer = await route.fetch();
      const { peers } = (await answer.json()) as { peers: PeerInfo[] };
      await route.fulfill({ response: answer, json: { peers: peers[0] ? many(peers[0]) : [] } });
    });
    await window.expect(`a table of ${ROWS} rows scrolls`, async () => {
      await window.visit("swarm");
      await window.sees(words.swarm.shown("10,000", "10,000"));
      const figures = await page.evaluate(async (scroll_ms) => {
        const table = document.querySelector(".virtual");
        if (!table) throw new Error("there is no table");
        const frame = () => new Promise<number>((drawn) => requestAnimationFrame(drawn));
        const frames: number[] = [];
        const first = await frame();
        for (let last = first; last - first < scroll_ms;) {
          table.scrollTop = ((last - first) / scroll_ms) * table.scrollHeight;
          const now = await frame();
          frames.push(now - last);
          last = now;
        }
        frames.sort((a, b) => a - b);
        const rows = table.querySelectorAll(".virtual-line").length;
        return { frames: frames.length, median: frames[frames.length >> 1] ?? 0, worst: frames.at(-1) ?? 0, rows };
      }, SCROLL_MS);
      const { frames, median, worst, rows } = figures;
      say(
        `${ROWS} rows, of which ${rows} exist, from top to bottom: ${frames} frames in ${SCROLL_MS / 1000} s, median ${median.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`,
      );
    });
    await page.unrouteAll({ behavior: "wait" });
  });
}
