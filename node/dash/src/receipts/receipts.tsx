import { useSignal } from "@preact/signals";
import type { Verdict } from "../api.ts";
import { asFailure, postBytes, type Failure } from "../data/client.ts";
import { Title } from "../shell/title.tsx";
import { text } from "../text/index.ts";
import { announce } from "../ui/announce.tsx";
import { Drop } from "../ui/drop.tsx";
import { FailureNote } from "../ui/reason.tsx";
import { isValid } from "./flags.ts";
import { VerdictView } from "./verdict.tsx";

interface Checked {
  name: string;
  verdict: Verdict | null;
  failure: Failure | null;
}

/** Checks receipts that somebody brings, with the verifier that is in this binary. */
export function Receipts() {
  const checked = useSignal<Checked[]>([]);
  const words = text().receipts;

  async function check(file: File) {
    let one: Checked;
    try {
      one = { name: file.name, verdict: await postBytes<Verdict>("/bundles/verify", file), failure: null };
    } catch (thrown) {
      one = { name: file.name, verdict: null, failure: asFailure(thrown) };
    }
    checked.value = [one, ...checked.peek()];
    announce(`${one.name}: ${one.verdict && isValid(one.verdict) ? words.valid : words.invalid}`);
  }

  return (
    <>
      <Title>{text().nav.receipts}</Title>
      <p>{words.about}</p>
      <Drop label={words.drop} accept={[".popw"]} multiple onFiles={(files) => files.forEach((file) => void check(file))} />
      {checked.value.map(({ name, verdict, failure }, n) => (
        <section key={checked.value.length - n} class="panel" aria-label={name}>
          <h2>{name}</h2>
          {verdict && <VerdictView verdict={verdict} />}
          <FailureNote failure={failure} />
        </section>
      ))}
    </>
  );
}
