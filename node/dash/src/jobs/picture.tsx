import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Job } from "../api.ts";
import { API, asFailure, getBlob, type Failure } from "../data/client.ts";
import { short } from "../format.ts";
import { text } from "../text/index.ts";
import { Panel } from "../ui/panel.tsx";
import { FailureNote } from "../ui/reason.tsx";

/** A picture is asked for at most so often, however fast slices come. */
const EVERY_MS = 1000;

/** The picture as far as it is here. The last one stays in view until the next is whole. */
export function Picture({ job }: { job: Job }) {
  const shown = useSignal<string | null>(null);
  const failure = useSignal<Failure | null>(null);
  const done = job.slices.filter(({ state }) => state === "done").length;
  const path = `/jobs/${job.job}/picture.png`;
  const words = text().jobs;
  const fresh = useLatest(path, shown, failure);

  useEffect(() => {
    if (done > 0 && !job.collected) fresh();
  }, [done, job.collected]);

  return (
    <Panel
      title={words.picture}
      tools={
        shown.value && (
          <a href={API + path} download={`${short(job.job)}.png`}>
            {words.save}
          </a>
        )
      }
    >
      {shown.value !== null && (
        <img class="picture" src={shown.value} alt={words.pictureOf(job.kernel, done, job.slices.length)} />
      )}
      {job.collected && <p class="quiet">{words.collected}</p>}
      {!job.collected && done === 0 && <p class="quiet">{words.noPicture}</p>}
      {!job.collected && <FailureNote failure={failure.value} />}
    </Panel>
  );
}

interface Slot<T> {
  value: T;
  peek(): T;
}

/** A function that fetches the newest picture, now or when the last request is long enough ago. */
function useLatest(path: string, shown: Slot<string | null>, failure: Slot<Failure | null>): () => void {
  const last_ms = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const gone = useRef(false);

  function show(address: string | null) {
    const before = shown.peek();
    shown.value = address;
    if (before !== null) URL.revokeObjectURL(before);
  }

  useEffect(
    () => () => {
      gone.current = true;
      clearTimeout(timer.current);
      show(null);
    },
    [],
  );

  async function load() {
    timer.current = undefined;
    last_ms.current = Date.now();
    try {
      const picture = await getBlob(path);
      if (!gone.current) show(URL.createObjectURL(picture));
      failure.value = null;
    } catch (thrown) {
      failure.value = asFailure(thrown);
    }
  }

  return () => {
    if (timer.current !== undefined || failure.peek()?.notOffered) return;
    timer.current = setTimeout(() => void load(), Math.max(0, last_ms.current + EVERY_MS - Date.now()));
  };
}
