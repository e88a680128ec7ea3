/** Receipts: taken from a job's page, checked on the page for it, and refused once a byte of them is another. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inWindow, type Stage } from "./stage.ts";
import type { Window } from "./window.ts";

const TAMPERED = 8;

/** Copies of a file, each with one bit of one byte changed, spread over all of it. */
function tampered(bytes: Buffer): { name: string; mimeType: string; buffer: Buffer }[] {
  return Array.from({ length: TAMPERED }, (_, n) => {
    const at = Math.floor(((n + 0.5) * bytes.length) / TAMPERED);
    const buffer = Buffer.from(bytes);
    buffer.writeUInt8(buffer.readUInt8(at) ^ 1, at);
    return { name: `byte-${at}.popw`, mimeType: "application/octet-stream", buffer };
  });
}

/** Lets go of a file above the page's place for it. */
async function drop({ page }: Window, name: string, bytes: Buffer): Promise<void> {
  const dropped = await page.evaluateHandle(
    ({ name, text }) => {
      const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name));
      return data;
    },
    { name, text: bytes.toString("base64") },
  );
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer: dropped });
}

export async function verified(stage: Stage): Promise<void> {
  await inWindow(stage, async (window) => {
    const { page } = window;
    const words = window.words.receipts;
    const job = stage.job;
    assert.ok(job, "there is a job that has receipts");
    const bundle = join(stage.folder, "receipts.popw");

    await window.expect("the job's page hands out its receipts", async () => {
      await window.visit("jobs", job);
      const coming = page.waitForEvent("download");
      await page.locator("a[download$='.popw']").click();
      await (await coming).saveAs(bundle);
      assert.ok(readFileSync(bundle).length > 0);
    });
    const bytes = readFileSync(bundle);

    await window.expect("they are valid, one for each slice", async () => {
      await window.visit("receipts");
      await page.getByLabel(words.drop).setInputFiles(bundle);
      const verdict = page.getByRole("region", { name: "receipts.popw" });
      await verdict.getByText(job).waitFor();
      const rows = verdict.locator("tbody tr");
      const valid = await rows.count();
      await verdict.getByText(words.counts(String(valid), "0")).waitFor();
      assert.ok(valid > 0);
      assert.equal(await verdict.locator(".state-failed").count(), 0);
    });

    await window.expect("a copy with one byte changed is refused, with the reason", async () => {
      for (const { name, buffer } of tampered(bytes)) {
        await drop(window, name, buffer);
        const verdict = page.getByRole("region", { name, exact: true });
        await verdict.locator("h2").waitFor();
        const refused = verdict.locator(".state-failed").first();
        await refused.waitFor();
        const said = (await verdict.locator("> p").first().innerText()).replace(await refused.innerText(), "").trim();
        const row = verdict.locator("tbody tr", { has: page.locator(".state-failed") });
        const why = (await row.count()) > 0 ? await row.first().locator("span[lang]").innerText() : said;
        assert.ok(why.length > 3, `${name}: the reason is said: ${why}`);
      }
    });

    await window.expect("a file that is no bundle is refused, with the reason", async () => {
      await drop(window, "notes.popw", Buffer.from("these are no receipts"));
      const verdict = page.getByRole("region", { name: "notes.popw" });
      await verdict.getByText(words.invalid).first().waitFor();
    });
  });
}
