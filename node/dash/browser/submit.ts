/** From files to a job: the page where jobs are submitted. */
import assert from "node:assert/strict";
import type { Job } from "../src/api.ts";
import { inWindow, type Stage } from "./stage.ts";
import { until } from "./swarm.ts";

const ENDED_MS = 60_000;
/** From the repository's root, where this runs. */
const SCENE = "compute-kernels/scenes/teapot.obj";

const JOB = `shader = "broken.wgsl"

[outputs.squares]
size = [16]
`;

/** Line 3 has a type that is none. */
const BROKEN = `@group(0) @binding(0) var<storage, read_write> squares: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<float>) {
  squares[id.x] = id.x * id.x;
}
`;

const file = (name: string, text: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });

/** Whether this build can say beforehand what a job takes. */
export async function hasPreflight(stage: Stage): Promise<boolean> {
  const document = await stage.swarm.first.get<{ paths: Record<string, unknown> }>("/openapi.json");
  return document !== null && "/api/v1/preflight" in document.paths;
}

export async function submits(stage: Stage): Promise<void> {
  await inWindow(stage, async (window) => {
    const { page } = window;
    const words = window.words.submit;
    const check = page.getByRole("button", { name: words.check });
    const submit = page.getByRole("button", { name: words.submit });

    await window.expect("a fractal is estimated, submitted and computed", async () => {
      await window.visit("submit");
      await page.getByLabel(words.fractal).check();
      const size = page.getByLabel(words.size);
      await size.fill("320x200");
      await size.blur();
      await check.click();
      await window.sees(words.accepted);
      await window.sees("starling run fractal");
      await submit.click();
      await window.heading(null);
      const job = decodeURIComponent(new URL(page.url()).hash.replace("#/jobs/", ""));
      await until("the job is done", ENDED_MS, async () => {
        const account = await stage.swarm.first.get<Job>(`/jobs/${job}`);
        return account?.state === "done";
      });
      await page.locator("main .state-done").first().waitFor();
    });

    await window.expect("a scene is uploaded and estimated", async () => {
      await window.visit("home");
      await window.visit("submit");
      await page.getByLabel(words.drop).setInputFiles(SCENE);
      await window.sees(words.is.render);
      await check.click();
      await window.sees(words.accepted);
      await window.sees("starling run render");
      assert.ok(await submit.isEnabled());
    });

    await window.expect("a shader with an error is refused, with the place in it", async () => {
      await window.visit("home");
      await window.visit("submit");
      await page.getByLabel(words.drop).setInputFiles([file("job.toml", JOB), file("broken.wgsl", BROKEN)]);
      await window.sees(words.is.wgsl);
      await check.click();
      await window.sees(words.refused);
      await page.locator(".note-bad").first().waitFor();
      await page.locator("pre.source").getByText("broken.wgsl:3").waitFor();
    });
  });
}
