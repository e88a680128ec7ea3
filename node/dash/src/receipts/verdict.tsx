import type { ReceiptVerdict, Verdict } from "../api.ts";
import { UNKNOWN } from "../format.ts";
import { format, text, wordFor } from "../text/index.ts";
import { Facts } from "../ui/facts.tsx";
import { PeerLink } from "../ui/ids.tsx";
import { flagsOf, isValid } from "./flags.ts";

/** What is true of a bundle, receipt by receipt. */
export function VerdictView({ verdict }: { verdict: Verdict }) {
  const words = text().receipts;
  const { count } = format();
  const { error, job, kernel, receipts, swarm, swarm_name } = verdict;
  const valid = receipts.filter((receipt) => receipt.valid).length;
  const flags = [...new Set(receipts.flatMap((receipt) => flagsOf(receipt.flags)))];
  return (
    <>
      <p>
        <Mark valid={isValid(verdict)} /> {error ?? words.counts(count(valid), count(receipts.length - valid))}
      </p>
      {error === undefined && (
        <>
          <Facts
            facts={[
              [words.job, <code class="long">{job ?? UNKNOWN}</code>],
              [words.swarm, <code class="long">{swarm ?? UNKNOWN}</code>],
              [words.swarmName, swarm_name ?? UNKNOWN],
              [words.kernel, kernel ?? UNKNOWN],
            ]}
          />
          <Table receipts={receipts} />
        </>
      )}
      {flags.length > 0 && <Flags flags={flags} />}
      <p class="quiet">{words.meaning}</p>
    </>
  );
}

function Mark({ valid }: { valid: boolean }) {
  const words = text().receipts;
  return (
    <span class={valid ? "state state-done" : "state state-failed"}>
      <span aria-hidden="true">{valid ? "✓" : "✕"}</span> {valid ? words.valid : words.invalid}
    </span>
  );
}

function Table({ receipts }: { receipts: readonly ReceiptVerdict[] }) {
  const words = text().receipts;
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={words.receipts}>
      <table>
        <caption class="unseen">{words.receipts}</caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              {words.slice}
            </th>
            <th scope="col">{words.worker}</th>
            <th scope="col">{words.verdict}</th>
            <th scope="col" class="number">
              {words.work}
            </th>
            <th scope="col">{words.credited}</th>
            <th scope="col">{words.known}</th>
            <th scope="col">{words.flags}</th>
          </tr>
        </thead>
        <tbody>
          {receipts.map((receipt, n) => (
            <Row key={n} receipt={receipt} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ receipt }: { receipt: ReceiptVerdict }) {
  const words = text().receipts;
  const { no, yes } = text().common;
  const { count, si } = format();
  const { committee, credited, known, slice, units, valid, verdict, worker } = receipt;
  const flags = flagsOf(receipt.flags).map((flag) => wordFor(words.flagNames, flag));
  return (
    <tr>
      <td class="number">{count(slice)}</td>
      <td>
        <PeerLink peer={worker} />
      </td>
      <td>
        <Mark valid={valid} />
        {!valid && (
          <>
            : <span lang="en">{verdict}</span>
          </>
        )}
      </td>
      <td class="number">{si(units ?? null, words.units)}</td>
      <td>{credited === undefined ? UNKNOWN : credited ? yes : no}</td>
      <td>{known === undefined || committee === undefined ? UNKNOWN : words.knownOf(count(known), count(committee))}</td>
      <td>{flags.length === 0 ? UNKNOWN : flags.join(", ")}</td>
    </tr>
  );
}

/** What the flags that occur mean. */
function Flags({ flags }: { flags: readonly string[] }) {
  const words = text().receipts;
  return (
    <ul class="lines">
      {flags.map((flag) => (
        <li key={flag}>
          <strong>{wordFor(words.flagNames, flag)}</strong>: {wordFor(words.flagMeanings, flag)}
        </li>
      ))}
    </ul>
  );
}
