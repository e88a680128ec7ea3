import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Product } from "../api.ts";
import { go } from "../data/location.ts";
import { Title } from "../shell/title.tsx";
import { text } from "../text/index.ts";
import { Drop } from "../ui/drop.tsx";
import { Panel } from "../ui/panel.tsx";
import { FailureNote } from "../ui/reason.tsx";
import { Answer } from "./answer.tsx";
import { Draft } from "./draft.ts";
import { FileList } from "./file_list.tsx";
import { OptionFields } from "./option_fields.tsx";
import { ACCEPT, sortOut } from "./product.ts";

/** From files to a job: choose, check, submit. */
export function Submit() {
  const draft = useMemo(() => new Draft(), []);
  const fractal = useSignal(false);
  const words = text().submit;
  const names = draft.files.value.map(({ name }) => name);
  const sorted = fractal.value ? ({ product: "fractal", lack: null } as const) : sortOut(names);

  async function submit() {
    const job = await draft.submit();
    if (job !== null) go("jobs", job);
  }

  return (
    <>
      <Title>{text().nav.submit}</Title>
      <Panel title={words.files}>
        <Drop
          label={words.drop}
          accept={ACCEPT}
          multiple
          onFiles={(files) => {
            fractal.value = false;
            draft.add(files);
          }}
        />
        <label>
          <input
            type="checkbox"
            checked={fractal.value}
            onChange={(event) => {
              fractal.value = event.currentTarget.checked;
              draft.choose({});
            }}
          />{" "}
          {words.fractal}
        </label>
        {!fractal.value && <FileList draft={draft} />}
        <p aria-live="polite">{sorted.product === null ? words.lacks[sorted.lack] : words.is[sorted.product]}</p>
      </Panel>
      {sorted.product !== null && <Check draft={draft} product={sorted.product} />}
      {draft.answer.value && <Answer draft={draft} answer={draft.answer.value} onSubmit={() => void submit()} />}
      <FailureNote failure={draft.failure.value} />
    </>
  );
}

function Check({ draft, product }: { draft: Draft; product: Product }) {
  const words = text().submit;
  const step = draft.step.value;
  return (
    <Panel title={words.options}>
      <OptionFields draft={draft} product={product} />
      <p class="quiet">{words.visible}</p>
      <button type="button" class="big" disabled={step !== "draft"} onClick={() => void draft.check(product)}>
        {words.check}
      </button>{" "}
      <span role="status">{words.steps[step]}</span>
    </Panel>
  );
}
