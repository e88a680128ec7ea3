/** What every check is given. */
import type { Browser } from "playwright-core";
import type { Swarm } from "./swarm.ts";
import { PLAIN, Window, type Look } from "./window.ts";

export interface Stage {
  swarm: Swarm;
  browser: Browser;
  /** A folder that goes when all is over. */
  folder: string;
  /** Where pictures of failures go, which stay. */
  failures: string;
  /** Where pictures of all pages go, if anybody wants them. */
  pictures: string | null;
  /** The job that was computed, for the checks after it. */
  job: string | null;
}

/** Does something in a window that is signed in, and closes it. */
export async function inWindow(stage: Stage, work: (window: Window) => Promise<void>, look: Look = PLAIN): Promise<void> {
  const window = await Window.empty(stage.browser, stage.swarm.first, look, stage.failures);
  try {
    await window.expect("the address of `starling dash` opens the home page", () => window.signIn());
    await work(window);
  } finally {
    await window.close();
  }
}
