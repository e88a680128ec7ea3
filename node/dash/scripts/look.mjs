// Looks at every page in a browser: screenshots in both themes and two widths, what axe finds, and what the console says.
//
//   node scripts/look.mjs http://127.0.0.1:PORT/#code=XYZ [FOLDER] [JOB]      CHROMIUM names the browser, default /usr/bin/chromium
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [address, folder = "look", job] = process.argv.slice(2);
if (!address) throw new Error("usage: look.mjs ADDRESS [FOLDER] [JOB]");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pages = [
  "home",
  "swarm",
  "jobs",
  "submit",
  "receipts",
  "lending",
  "doctor",
  "logs",
  "settings",
  ...(job ? [`jobs/${job}`] : []),
];
const looks = [
  { name: "light", colorScheme: "light", width: 1280, locale: "en" },
  { name: "dark-narrow", colorScheme: "dark", width: 380, locale: "zh-CN" },
  { name: "dark", colorScheme: "dark", width: 1280, locale: "en" },
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(
    " ",
  ),
});
mkdirSync(folder, { recursive: true });
let bad = 0;

// The code in the address opens one session: the later looks go on with the first one's.
let session;

for (const { name, width, ...look } of looks) {
  // axe is put in from outside, which the pages' own policy rightly forbids.
  const context = await browser.newContext({
    ...look,
    viewport: { width, height: 900 },
    bypassCSP: true,
    ...(session ? { storageState: session } : {}),
  });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && console.log(`${name}: console: ${message.text()}`));
  page.on("pageerror", (error) => {
    bad += 1;
    console.log(`${name}: ${error.stack}`);
  });
  await page.goto(session ? new URL("/", address).href : address);
  await page.waitForTimeout(1500);
  session ??= await context.storageState();
  for (const one of pages) {
    await page.evaluate((fragment) => (location.hash = fragment), `#/${one}`);
    await page.waitForTimeout(1500);
    await page.screenshot({
      path: `${folder}/${one.split("/")[0]}${one.includes("/") ? "-one" : ""}-${name}.png`,
      fullPage: true,
    });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) console.log(`${name} ${one}: wider than the window by ${wide} px`);
    for (const { id, impact, nodes } of violations) {
      bad += 1;
      console.log(
        `${name} ${one}: ${impact} ${id} at ${nodes
          .map((node) => node.target.join(" "))
          .join(", ")
          .slice(0, 300)}`,
      );
    }
  }
  await context.close();
}
await browser.close();
console.log(bad === 0 ? "nothing found" : `${bad} found`);
process.exit(bad === 0 ? 0 : 1);
