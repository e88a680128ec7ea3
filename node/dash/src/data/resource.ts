/**
 * A value of the API that keeps itself fresh while a page shows it.
 *
 * It is asked for again at intervals while the page is in view, after happenings that concern it, and when the daemon
 * is back. Invariant: an answer that was overtaken by a newer question is dropped.
 */
import { effect, signal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Happening } from "../api.ts";
import { asFailure, get, type Failure } from "./client.ts";
import { listen } from "./feed.ts";
import { epoch, link } from "./link.ts";

/** Many things happen in one moment of a job: one question answers them all. */
const GATHER_MS = 300;
/** After an answer that took long, nobody asks again for so many times as long: a huge job must not fill the page's time. */
const REST = 4;

export interface Resource<T> {
  readonly value: ReadonlySignal<T | null>;
  readonly failure: ReadonlySignal<Failure | null>;
  refresh(): void;
  /** Shows what is expected, or was answered to a change, until the next answer. */
  set(value: T): void;
}

export interface Freshness {
  /** How often to ask, in ms; never again by time alone if left out. */
  every_ms?: number;
  /** Which happenings make it stale. */
  when?: (happening: Happening) => boolean;
}

class Asked<T> implements Resource<T> {
  readonly value = signal<T | null>(null);
  readonly failure = signal<Failure | null>(null);
  private question = 0;
  private rested_ms = 0;
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  refresh = (): void => {
    this.question += 1;
    void this.ask(this.question);
  };

  set = (value: T): void => {
    this.question += 1;
    this.value.value = value;
    this.failure.value = null;
  };

  /** How long to wait before asking again, in ms. */
  get rest_ms(): number {
    return Math.max(0, this.rested_ms - performance.now());
  }

  private async ask(question: number): Promise<void> {
    const began_ms = performance.now();
    try {
      const value = await get<T>(this.path);
      if (question !== this.question) return;
      this.value.value = value;
      this.failure.value = null;
    } catch (thrown) {
      if (question === this.question) this.failure.value = asFailure(thrown);
    }
    const now_ms = performance.now();
    this.rested_ms = now_ms + REST * (now_ms - began_ms);
  }
}

export function useResource<T>(path: string, { every_ms, when }: Freshness = {}): Resource<T> {
  const asked = useMemo(() => new Asked<T>(path), [path]);

  useEffect(
    () =>
      effect(() => {
        epoch.value;
        asked.refresh();
      }),
    [asked],
  );

  useEffect(() => {
    if (every_ms === undefined) return;
    const timer = setInterval(() => {
      const worthwhile = link.peek() === "up" && !document.hidden && asked.rest_ms === 0 && !asked.failure.peek()?.notOffered;
      if (worthwhile) asked.refresh();
    }, every_ms);
    return () => clearInterval(timer);
  }, [asked, every_ms]);

  useEffect(() => {
    if (!when) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = listen((happening) => {
      if (timer !== undefined || !when(happening)) return;
      timer = setTimeout(
        () => {
          timer = undefined;
          asked.refresh();
        },
        Math.max(GATHER_MS, asked.rest_ms),
      );
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [asked]);

  return asked;
}
