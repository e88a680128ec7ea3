/** Every page in both languages, both colour schemes and two widths: its heading, what axe finds, and its picture. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { PAGES, type PageName } from "../src/router.ts";
import { inWindow, type Stage } from "./stage.ts";
import { PLAIN, type Look, type Window } from "./window.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const LOOKS: readonly Look[] = [
  PLAIN,
  { name: "dark", language: "zh", colorScheme: "dark", width: 1280 },
  { name: "dark-narrow", language: "en", colorScheme: "dark", width: 380 },
  { name: "light-narrow", language: "zh", colorScheme: "light", width: 380 },
];

/** What axe finds on the page as it is. */
async function violations({ page }: Window): Promise<string[]> {
  await page.evaluate(AXE);
  const { passes, violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  assert.ok(passes.length > 0, "axe looked at something");
  return violations.map(
    ({ id, impact, nodes }) => `${impact} ${id} at ${nodes.map(({ target }) => target.join(" ")).join(", ")}`,
  );
}

export async function everyPage(stage: Stage, look: Look): Promise<void> {
  const all: [PageName, string | null][] = PAGES.map((page) => [page, null]);
  if (stage.job) all.push(["jobs", stage.job]);
  await inWindow(
    stage,
    async (window) => {
      for (const [page, id] of all) {
        const name = id === null ? page : "job";
        await window.expect(`${name} has its heading, and nothing goes wrong`, async () => {
          await window.visit(page, id);
          const theme = await window.page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
          assert.equal(theme, look.colorScheme === "dark");
        });
        await window.expect(`axe finds nothing on ${name}`, async () => assert.deepEqual(await violations(window), []));
        await window.expect(`${name} is no wider than the window`, async () => {
          const more = await window.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(more <= 0, `it is ${more} px wider`);
        });
        if (stage.pictures) await window.picture(stage.pictures, `${name}-${look.language}-${look.name}`);
      }
    },
    look,
  );
}
