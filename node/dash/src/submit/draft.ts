/**
 * A job before it is submitted: files, options, what is uploaded, and what the daemon thinks of it.
 *
 * Invariant: `answer` belongs to exactly the files and options that are shown; a change of either drops it.
 */
import { signal } from "@preact/signals";
import type { Job, Preflight, PreflightOrder, Product } from "../api.ts";
import { asFailure, put, upload, type Failure } from "../data/client.ts";

export type Step = "draft" | "uploading" | "checking" | "submitting";

export interface Options {
  size: string;
  spp: number;
  max_price: number | null;
  full_audits: boolean;
}

const FIRST: Options = { size: "640x360", spp: 64, max_price: null, full_audits: false };

export class Draft {
  readonly files = signal<readonly File[]>([]);
  readonly options = signal<Options>(FIRST);
  readonly step = signal<Step>("draft");
  /** How much of a file is uploaded, from 0 to 1, by name. */
  readonly uploaded = signal<Readonly<Record<string, number>>>({});
  readonly answer = signal<Preflight | null>(null);
  readonly failure = signal<Failure | null>(null);
  /** What was uploaded already: checking again sends nothing twice. */
  private readonly blobs = new WeakMap<File, string>();

  /** Adds files; one of the same name is replaced. */
  add(more: readonly File[]): void {
    const names = new Set(more.map(({ name }) => name));
    this.files.value = [...this.files.peek().filter(({ name }) => !names.has(name)), ...more];
    this.changed();
  }

  remove(file: File): void {
    this.files.value = this.files.peek().filter((one) => one !== file);
    this.changed();
  }

  choose(options: Partial<Options>): void {
    this.options.value = { ...this.options.peek(), ...options };
    this.changed();
  }

  private changed(): void {
    this.answer.value = null;
    this.failure.value = null;
  }

  /** Uploads what is not there yet, and asks what the daemon thinks of it. */
  async check(product: Product): Promise<void> {
    await this.during("uploading", async () => {
      const files: Record<string, string> = {};
      const needed = product === "fractal" ? [] : this.files.peek();
      for (const file of needed) files[file.name] = await this.blobOf(file);
      this.step.value = "checking";
      const order: PreflightOrder = { product, files, options: optionsFor(product, this.options.peek()) };
      this.answer.value = await put<Preflight>("POST", "/preflight", order);
    });
  }

  /** Submits what the daemon answered; the job, or null if it failed. */
  async submit(): Promise<string | null> {
    const order = this.answer.peek()?.order;
    if (!order) return null;
    let job: string | null = null;
    await this.during("submitting", async () => {
      job = (await put<Job>("POST", "/jobs", order)).job;
    });
    return job;
  }

  private async blobOf(file: File): Promise<string> {
    const known = this.blobs.get(file);
    if (known !== undefined) return known;
    const { id } = await upload(file, (part) => {
      this.uploaded.value = { ...this.uploaded.peek(), [file.name]: part };
    });
    this.blobs.set(file, id);
    return id;
  }

  private async during(step: Step, work: () => Promise<void>): Promise<void> {
    this.step.value = step;
    this.failure.value = null;
    try {
      await work();
    } catch (thrown) {
      this.failure.value = asFailure(thrown);
    }
    this.step.value = "draft";
  }
}

/** Only what the product knows. */
function optionsFor(product: Product, { size, spp, max_price, full_audits }: Options): PreflightOrder["options"] {
  return {
    ...(product === "render" || product === "fractal" ? { size } : {}),
    ...(product === "render" ? { spp } : {}),
    ...(max_price === null ? {} : { max_price }),
    ...(full_audits ? { full_audits } : {}),
  };
}
