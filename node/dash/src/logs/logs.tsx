import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { LogLine } from "../api.ts";
import { Title } from "../shell/title.tsx";
import { format, text } from "../text/index.ts";
import { FailureNote } from "../ui/reason.tsx";
import { LEVELS, LINES_MOST, looked, type Level } from "./tail.ts";
import { useLog } from "./use_log.ts";

/** What the daemon logs, as it does. */
export function Logs() {
  const follow = useSignal(true);
  const level = useSignal<Level>("info");
  const query = useSignal("");
  const { lines, failure } = useLog(follow);
  const words = text().logs;
  const shown = useMemo(() => looked(lines.value, level.value, query.value), [lines.value, level.value, query.value]);

  return (
    <>
      <Title>{text().nav.logs}</Title>
      <div class="row">
        <label>
          {words.level}{" "}
          <select
            value={level.value}
            onChange={(event) => {
              level.value = LEVELS.find((one) => one === event.currentTarget.value) ?? "info";
            }}
          >
            {LEVELS.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label>
          {text().common.filter}{" "}
          <input type="search" value={query.value} onInput={(event) => (query.value = event.currentTarget.value)} />
        </label>
        <label>
          <input type="checkbox" checked={follow.value} onChange={(event) => (follow.value = event.currentTarget.checked)} />{" "}
          {words.follow}
        </label>
      </div>
      <FailureNote failure={failure.value} />
      {!failure.value?.notOffered && (
        <>
          <p class="quiet">{words.shown(format().count(shown.length), format().count(LINES_MOST))}</p>
          <Lines lines={shown} follow={follow.value} />
        </>
      )}
    </>
  );
}

/** In follow mode the newest line stays in view. */
function Lines({ lines, follow }: { lines: readonly LogLine[]; follow: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const { clock } = format();

  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, follow]);

  return (
    <div class="log" ref={box} tabIndex={0} role="log" aria-live="off" aria-label={text().nav.logs}>
      {lines.map(({ id, unix_ms, level, target, message }) => (
        <div key={id} class={`log-line log-${level}`}>
          <time>{clock(unix_ms)}</time> <b>{level}</b> <span class="quiet">{target}</span> {message}
        </div>
      ))}
    </div>
  );
}
