import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { Setting } from "../api.ts";
import { asFailure, put, type Failure } from "../data/client.ts";
import { text } from "../text/index.ts";
import { announce } from "../ui/announce.tsx";
import { FailureNote } from "../ui/reason.tsx";
import { Input } from "./input.tsx";
import { parse, written, type Problem, type Value } from "./value.ts";

interface Props {
  setting: Setting;
  label: string;
  onSaved: () => void;
}

/** One setting's field, with what is wrong with what is typed, and what the daemon made of it. */
export function Editor({ setting, label, onSaved }: Props) {
  const { key, kind, value } = setting;
  const typed = useSignal<string | null>(null);
  const failure = useSignal<Failure | null>(null);
  const id = useId();
  const words = text().settings;

  const shown = typed.value ?? written(value);
  const parsed = parse(kind, shown);
  const changed = shown !== written(value);

  /** Null takes the setting out of the file. */
  async function save(to: Value | null) {
    failure.value = null;
    try {
      await put<unknown>("PUT", `/settings/${encodeURIComponent(key)}`, { value: to });
      typed.value = null;
      announce(setting.live ? words.savedLive(key) : words.savedRestart(key));
      onSaved();
    } catch (thrown) {
      failure.value = asFailure(thrown);
    }
  }

  return (
    <form
      class="editor"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (parsed.problem === null) void save(parsed.value);
      }}
    >
      <label class="unseen" for={id}>
        {label}
      </label>
      <Input id={id} kind={kind} value={shown} problem={parsed.problem !== null} onInput={(now) => (typed.value = now)} />
      {changed && (
        <>
          <button type="submit" disabled={parsed.problem !== null}>
            {words.save}
          </button>
          <button type="button" onClick={() => (typed.value = null)}>
            {words.undo}
          </button>
        </>
      )}
      {!changed && setting.from === "file" && shown !== written(setting.default) && (
        <button type="button" class="link" onClick={() => void save(null)}>
          {words.useDefault}
        </button>
      )}
      <p id={`${id}-problem`} class="problem" aria-live="polite">
        {parsed.problem && problemText(parsed.problem)}
      </p>
      <FailureNote failure={failure.value} />
    </form>
  );
}

function problemText(problem: Problem): string {
  const words = text().settings.problems;
  switch (problem.word) {
    case "number":
      return words.number;
    case "range":
      return words.range(problem.low, problem.high);
    case "length":
      return words.length(problem.low, problem.high);
    case "address":
      return words.address(problem.item);
    case "many":
      return words.many(problem.high);
  }
}
