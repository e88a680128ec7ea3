import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { Slice } from "../api.ts";
import { short, UNKNOWN } from "../format.ts";
import { flagKey } from "../receipts/flags.ts";
import { format, text, wordFor } from "../text/index.ts";
import { Facts } from "../ui/facts.tsx";
import { PeerLink } from "../ui/ids.tsx";
import { Panel } from "../ui/panel.tsx";

const GLYPHS: Record<Slice["state"], string> = { open: "·", leased: "◔", committed: "◑", auditing: "◕", done: "●" };
/** A slice whose receipt has weaknesses. */
const FLAG = "⚑";
const STATES = Object.keys(GLYPHS) as Slice["state"][];

/** More cells than this are no overview, and slow. */
const CELLS = 2000;
/** Cells that an arrow up or down goes over; the grid's rows have so many. */
const PER_ROW = 16;

const STEPS: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -PER_ROW, ArrowDown: PER_ROW };

/** Every slice as a glyph; the chosen one in full. Arrow keys move. */
export function SliceGrid({ slices }: { slices: readonly Slice[] }) {
  const chosen = useSignal(0);
  const id = useId();
  const words = text().jobs;
  const cells = slices.slice(0, CELLS);
  const current = cells[chosen.value];

  function onKey(event: KeyboardEvent) {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = chosen.value + step;
    if (next >= 0 && next < cells.length) chosen.value = next;
  }

  return (
    <Panel title={words.slices}>
      <Legend slices={slices} />
      <div
        class="slices"
        role="listbox"
        aria-label={words.slices}
        tabIndex={0}
        aria-activedescendant={`${id}-${chosen.value}`}
        onKeyDown={onKey}
      >
        {cells.map((slice, n) => (
          <span
            key={n}
            id={`${id}-${n}`}
            role="option"
            class={`slice slice-${slice.state}`}
            aria-selected={n === chosen.value}
            aria-label={words.sliceIs(n, words.sliceStates[slice.state])}
            onClick={() => (chosen.value = n)}
          >
            {slice.flags.length > 0 ? FLAG : GLYPHS[slice.state]}
          </span>
        ))}
      </div>
      {slices.length > CELLS && <p class="quiet">{words.firstOnly(format().count(CELLS), format().count(slices.length))}</p>}
      {current && <OneSlice number={chosen.value} slice={current} />}
    </Panel>
  );
}

function Legend({ slices }: { slices: readonly Slice[] }) {
  const words = text().jobs.sliceStates;
  const { count } = format();
  const flagged = slices.filter(({ flags }) => flags.length > 0).length;
  return (
    <ul class="legend">
      {STATES.map((state) => (
        <li key={state}>
          <span aria-hidden="true">{GLYPHS[state]}</span> {words[state]}{" "}
          <span class="number">{count(slices.filter((slice) => slice.state === state).length)}</span>
        </li>
      ))}
      {flagged > 0 && (
        <li>
          <span aria-hidden="true">{FLAG}</span> {text().jobs.flagged} <span class="number">{count(flagged)}</span>
        </li>
      )}
    </ul>
  );
}

function OneSlice({ number, slice }: { number: number; slice: Slice }) {
  const words = text().jobs;
  const { count } = format();
  const { auditors, flags, receipt, reopened, tiles, worker } = slice;
  return (
    <>
      <h3 aria-live="polite">{words.sliceIs(number, words.sliceStates[slice.state])}</h3>
      <Facts
        facts={[
          [words.worker, worker === null ? UNKNOWN : <PeerLink peer={worker} />],
          [words.tiles, count(tiles)],
          [words.auditors, auditors.length === 0 ? UNKNOWN : auditors.map((peer) => <PeerLink key={peer} peer={peer} />)],
          [words.attempts, count(reopened + (slice.state === "open" ? 0 : 1))],
          [words.receipt, receipt === null ? UNKNOWN : <code title={receipt}>{short(receipt)}</code>],
          [
            words.flags,
            flags.length === 0 ? UNKNOWN : flags.map((flag) => wordFor(text().receipts.flagNames, flagKey(flag))).join(", "),
          ],
        ]}
      />
    </>
  );
}
