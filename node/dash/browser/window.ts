/**
 * A browser's window on a peer's pages, watched: what its console says, and whom it asks.
 *
 * Invariant: a request to anybody but this machine fails the check during which it is made. The browser could not
 * send it: it knows no names.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { link, type PageName } from "../src/router.ts";
import { en, type Catalogue } from "../src/text/en.ts";
import { zh } from "../src/text/zh.ts";
import type { Peer } from "./swarm.ts";

/** How long anything that a page should show may take. */
const SHOWN_MS = 15_000;

const HERE = new Set(["127.0.0.1", "localhost"]);
/** Addresses that name no host: what is in the page already. */
const INSIDE = new Set(["about:", "blob:", "data:"]);

/** No sandbox, because CI is root, who gets none; only our own pages are looked at. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

export interface Look {
  name: string;
  language: "en" | "zh";
  colorScheme: "light" | "dark";
  width: number;
}

export const PLAIN: Look = { name: "light", language: "en", colorScheme: "light", width: 1280 };

export function startBrowser(executablePath: string): Promise<Browser> {
  // Whoever started this hears the signals, and ends the browser with the rest.
  return chromium.launch({ executablePath, args: FLAGS, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false });
}

export function isHere(address: string): boolean {
  const { hostname, protocol } = new URL(address);
  return INSIDE.has(protocol) || HERE.has(hostname);
}

export class Window {
  readonly words: Catalogue;
  readonly page: Page;
  readonly look: Look;
  /** Console errors that the check at hand provokes. */
  expected: RegExp | null = null;
  private readonly context: BrowserContext;
  private readonly peer: Peer;
  private readonly failures: string;
  private faults: string[] = [];

  private constructor(peer: Peer, context: BrowserContext, page: Page, look: Look, failures: string) {
    this.peer = peer;
    this.context = context;
    this.page = page;
    this.look = look;
    this.failures = failures;
    this.words = look.language === "zh" ? zh : en;
    page.setDefaultTimeout(SHOWN_MS);
    context.on("request", (request) => this.asked(request.url()));
    page.on("websocket", (socket) => this.asked(socket.url()));
    page.on("pageerror", ({ name, message, stack }) => this.faults.push(`an error: ${name} ${message} ${stack ?? ""}`));
    page.on("console", (message) => {
      if (message.type() !== "error" || this.expected?.test(message.text())) return;
      this.faults.push(`the console says: ${message.text()} (${message.location().url})`);
    });
  }

  /** An empty window, with nobody's cookie. */
  static async empty(browser: Browser, peer: Peer, look: Look, failures: string): Promise<Window> {
    const { colorScheme, language, width } = look;
    const locale = language === "zh" ? "zh-CN" : "en-GB";
    const context = await browser.newContext({ colorScheme, locale, viewport: { width, height: 900 } });
    return new Window(peer, context, await context.newPage(), look, failures);
  }

  private asked(address: string): void {
    if (!isHere(address)) this.faults.push(`a request left this machine: ${address}`);
  }

  /** The address that opens a session. */
  address(): Promise<string> {
    return this.peer.command("dash", "--print");
  }

  /** Signs in as `starling dash` does. */
  async signIn(): Promise<void> {
    await this.page.goto(await this.address());
    await this.heading("home");
  }

  /** Goes to a page, and waits until it has its heading and all that it asks for. */
  async visit(page: PageName, id: string | null = null): Promise<void> {
    await this.page.evaluate(
      (fragment) => {
        location.hash = fragment;
      },
      link(page, id),
    );
    await this.heading(id === null ? page : null);
    const coming = this.page.locator("main").getByText(this.words.common.loading, { exact: true });
    await coming.first().waitFor({ state: "detached" });
  }

  /** The heading of a page; of a job's page, which has its own, if none is named. */
  async heading(page: PageName | null): Promise<void> {
    const name = page === null ? new RegExp(`^${this.words.jobs.job}`) : this.words.nav[page];
    await this.page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  }

  async sees(text: string | RegExp): Promise<void> {
    await this.page.locator("main").getByText(text).first().waitFor();
  }

  async click(button: string): Promise<void> {
    await this.page.getByRole("button", { name: button, exact: true }).click();
  }

  async picture(folder: string, name: string): Promise<string> {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${name}.png`);
    await this.page.screenshot({ path, fullPage: true });
    return path;
  }

  /** Does what shows that `what` is so. A failure says on which page, and where its picture is. */
  async expect(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      assert.equal(this.faults.length, 0, "something else went wrong meanwhile");
    } catch (cause) {
      const at = `${new URL(this.page.url()).hash || this.page.url()} (${this.look.name}, ${this.look.language})`;
      const name = `${what} ${at}`.replace(/\W+/g, "-").slice(0, 100);
      const picture = await this.picture(this.failures, name).catch((error: unknown) => `none, ${String(error)}`);
      const faults = this.faults.map((fault) => `\n  also: ${fault}`).join("");
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`page ${at}\n  expected: ${what}\n  but: ${why}${faults}\n  screenshot: ${picture}`);
    } finally {
      this.faults = [];
    }
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}
