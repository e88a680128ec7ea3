/** Who may see the pages: a code for one use becomes a cookie that no script reads; a restart ends it, and the pages say so. */
import assert from "node:assert/strict";
import { inWindow, type Stage } from "./stage.ts";
import { PLAIN, Window } from "./window.ts";

const REFUSED = /401 \(Unauthorized\)/;
/** A peer that ends is noticed at whichever step a request had come to, and Chromium has a name for each of them. */
const DOWN = /net::ERR_(CONNECTION_\w+|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)/;

/** All addresses that the window's history has. */
async function history({ page }: Window): Promise<string[]> {
  const devtools = await page.context().newCDPSession(page);
  const { entries } = await devtools.send("Page.getNavigationHistory");
  return entries.map(({ url }) => url);
}

export async function oneTimeCode(stage: Stage): Promise<void> {
  const peer = stage.swarm.first;
  const window = await Window.empty(stage.browser, peer, PLAIN, stage.failures);
  const other = await Window.empty(stage.browser, peer, PLAIN, stage.failures);
  try {
    const address = await window.address();
    const code = new URLSearchParams(new URL(address).hash.slice(1)).get("code") ?? "";
    assert.notEqual(code, "", `${address} has a code`);

    await window.expect("a code opens the pages, and is then nowhere to be seen", async () => {
      await window.page.goto(address);
      await window.heading("home");
      assert.ok(!window.page.url().includes(code), "the code is out of the address");
      const seen = (await history(window)).filter((url) => url.includes(code));
      assert.deepEqual(seen, [], "the code is out of the history");
    });

    await window.expect("the session is a cookie that scripts and other sites do not get", async () => {
      const cookies = await window.page.context().cookies();
      assert.equal(cookies.length, 1);
      const [cookie] = cookies;
      assert.equal(cookie?.httpOnly, true);
      assert.equal(cookie?.sameSite, "Strict");
      assert.equal(await window.page.evaluate(() => document.cookie), "");
      const kept = await window.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
      assert.ok(!kept.includes(cookie.value) && !kept.includes(code), "nor is it stored for them");
    });

    other.expected = REFUSED;
    await other.expect("a code that was used opens nothing, and the page says how to get another one", async () => {
      await other.page.goto(address);
      await other.page.getByRole("heading", { level: 1, name: other.words.shell.locked }).waitFor();
      await other.sees("starling dash");
      assert.deepEqual(await other.page.context().cookies(), []);
    });
  } finally {
    await window.close();
    await other.close();
  }
}

export async function restart(stage: Stage): Promise<void> {
  const peer = stage.swarm.first;
  await inWindow(stage, async (window) => {
    const { page, words } = window;
    window.expected = new RegExp(`${REFUSED.source}|${DOWN.source}`);

    const lost = async () => {
      await window.sees(words.shell.lost);
      const banner = await page.locator("main [role=status] .note-bad").innerText();
      assert.match(banner, /starling dash/);
    };
    const back = async () => {
      await page.goto(await window.address());
      await window.heading("home");
      await page.locator(".lend-word", { hasText: words.home.lends }).waitFor();
      await page.locator(".note-bad").waitFor({ state: "detached" });
    };

    await peer.down();
    await window.expect("a page whose peer is gone says so, and what to do", lost);
    await peer.up();
    await window.expect("where the peer came back at another address, the page says how to get there", lost);
    await window.expect("a new address in the same tab brings the pages back", back);

    // A part of the program that is fetched when it is first needed, and is not to be had at that moment.
    await page.route("**/world_map.js", (route) => route.abort("connectionrefused"));
    await window.expect("a part of the page that does not come is no reason to wait for it", async () => {
      await window.visit("swarm");
      await window.sees(words.common.notLoaded);
    });
    await page.unroute("**/world_map.js");

    const { port } = new URL(peer.url);
    await peer.down();
    await window.expect("it says so again", lost);
    await peer.up("--set", `api.port=${port}`);
    await window.expect("it notices that the peer is back, and that its session went", async () => {
      await page.getByRole("heading", { level: 1, name: words.shell.locked }).waitFor();
      await window.sees(words.shell.lockedFix);
      await window.sees("starling dash");
    });

    await window.expect("a new code in the same tab brings the pages back", back);
    await window.expect("the part that did not come is there now", async () => {
      await window.visit("swarm");
      await page.getByText(words.swarm.mapNote).waitFor();
      await page.getByText(words.common.notLoaded).waitFor({ state: "detached" });
    });
  });
}
