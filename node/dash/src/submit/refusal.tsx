import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Reason } from "../api.ts";
import { ReasonNote } from "../ui/reason.tsx";
import { excerpt, type Excerpt } from "./caret.ts";

interface Props {
  reason: Reason;
  files: readonly File[];
}

interface Place {
  file: string | null;
  line: number;
  column: number;
}

function placeOf({ params }: Reason): Place | null {
  const { file, line, column } = params ?? {};
  if (typeof line !== "number") return null;
  return { file: typeof file === "string" ? file : null, line, column: typeof column === "number" ? column : 1 };
}

/** The file that a place is in; a refusal that names none is about the only shader. */
function fileOf(place: Place, files: readonly File[]): File | null {
  const named = files.find(({ name }) => name === place.file);
  const shaders = files.filter(({ name }) => name.endsWith(".wgsl"));
  return named ?? (shaders.length === 1 ? (shaders[0] ?? null) : null);
}

/** A refusal, with the place in the file that it is about. */
export function Refusal({ reason, files }: Props) {
  const shown = useSignal<Excerpt | null>(null);
  const place = placeOf(reason);
  const file = place && fileOf(place, files);

  useEffect(() => {
    shown.value = null;
    if (!place || !file) return;
    void file.text().then((source) => {
      shown.value = excerpt(source, place.line, place.column);
    });
  }, [reason, file]);

  return (
    <>
      <ReasonNote reason={reason} weight="bad" />
      {shown.value && file && <Source name={file.name} excerpt={shown.value} />}
    </>
  );
}

function Source({ name, excerpt: { line, text, caret } }: { name: string; excerpt: Excerpt }) {
  const margin = `${line} │ `;
  return (
    <pre class="source" tabIndex={0}>
      {`${name}:${line}\n${margin}${text}\n${" ".repeat(margin.length - 2)}│ `}
      <strong>{caret}</strong>
    </pre>
  );
}
