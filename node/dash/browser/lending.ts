/** The big button: what it says, the peer does. */
import assert from "node:assert/strict";
import type { Lend } from "../src/api.ts";
import { inWindow, type Stage } from "./stage.ts";
import { until } from "./swarm.ts";

const SOON_MS = 10_000;

export async function pauseAndResume(stage: Stage): Promise<void> {
  const peer = stage.swarm.first;
  const lend = async () => {
    const now = await peer.get<Lend>("/lend");
    assert.ok(now);
    return now;
  };
  await inWindow(stage, async (window) => {
    const words = window.words.home;
    const says = (word: string) => window.page.locator(".lend-word", { hasText: word }).waitFor();
    assert.equal((await lend()).switch, "on");

    await window.expect("pausing for an hour shows that it is paused, and until when", async () => {
      await says(words.lends);
      await window.click(words.pauseHour);
      await says(words.paused);
      await until("the API says so too", SOON_MS, async () => (await lend()).switch === "paused");
      const { lends, paused_until_s } = await lend();
      assert.equal(lends, false);
      const left_s = (paused_until_s ?? 0) - Date.now() / 1000;
      assert.ok(left_s > 3500 && left_s <= 3600, `an hour, not ${left_s} s`);
    });

    await window.expect("a reload shows the same", async () => {
      await window.page.reload();
      await says(words.paused);
    });

    await window.expect("resuming shows that it lends", async () => {
      await window.click(words.resume);
      await says(words.lends);
      await until("the API says so too", SOON_MS, async () => (await lend()).lends);
      assert.equal((await lend()).switch, "on");
    });
  });
}
