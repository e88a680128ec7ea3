import { format, text } from "../text/index.ts";
import type { Draft } from "./draft.ts";

/** The chosen files, how far each upload is, and a way to think again. */
export function FileList({ draft }: { draft: Draft }) {
  const words = text().submit;
  const { bytes, share } = format();
  const busy = draft.step.value !== "draft";
  return (
    <ul class="lines">
      {draft.files.value.map((file) => {
        const part = draft.uploaded.value[file.name];
        return (
          <li key={file.name}>
            <code>{file.name}</code> <span class="number">{bytes(file.size)}</span>{" "}
            {part !== undefined && (
              <>
                <progress aria-label={words.uploadOf(file.name)} value={part} max={1} /> <span class="number">{share(part)}</span>
              </>
            )}{" "}
            <button type="button" class="link" disabled={busy} onClick={() => draft.remove(file)}>
              {words.remove} <span class="unseen">{file.name}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
