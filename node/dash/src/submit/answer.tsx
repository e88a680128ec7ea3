import type { Preflight } from "../api.ts";
import { format, text } from "../text/index.ts";
import { Command } from "../ui/command.tsx";
import { Facts } from "../ui/facts.tsx";
import { Panel } from "../ui/panel.tsx";
import type { Draft } from "./draft.ts";
import { Refusal } from "./refusal.tsx";

interface Props {
  draft: Draft;
  answer: Preflight;
  onSubmit: () => void;
}

/** What the daemon thinks of it: refusals, or what it will take. */
export function Answer({ draft, answer, onSubmit }: Props) {
  const words = text().submit;
  const { count, duration, si } = format();
  const { estimate, order, refusals, tiles, units } = answer;
  function priceOf(of: typeof estimate): [string, string][] {
    return of === null ? [] : [[words.price, words.priceOf(count(of.price[0]), count(of.price[1]))]];
  }
  return (
    <Panel title={order === null ? words.refused : words.accepted}>
      <div role="status">
        {refusals.map((reason, n) => (
          <Refusal key={n} reason={reason} files={draft.files.value} />
        ))}
      </div>
      {order !== null && (
        <>
          <Facts
            facts={[
              [words.tiles, count(tiles)],
              [words.work, si(units, words.units)],
              [
                words.estimate,
                estimate === null
                  ? words.noEstimate
                  : words.estimateOf(duration(estimate.least_seconds), duration(estimate.seconds), count(estimate.peers)),
              ],
              ...priceOf(estimate),
            ]}
          />
          <p class="label">{words.cli}</p>
          <Command line={answer.cli} />
          <button type="button" class="big" disabled={draft.step.value !== "draft"} onClick={onSubmit}>
            {words.submit}
          </button>
        </>
      )}
    </Panel>
  );
}
