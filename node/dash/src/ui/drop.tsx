import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { text } from "../text/index.ts";

interface Props {
  label: string;
  /** Endings of the files that make sense here, such as ".popw". */
  accept: readonly string[];
  multiple?: boolean;
  onFiles: (files: File[]) => void;
}

/** A place to drop files, with a button that does the same. */
export function Drop({ label, accept, multiple = false, onFiles }: Props) {
  const over = useSignal(false);
  const input = useRef<HTMLInputElement>(null);

  function hover(event: DragEvent, is: boolean) {
    event.preventDefault();
    over.value = is;
  }

  function take(files: FileList | null | undefined) {
    over.value = false;
    if (files && files.length > 0) onFiles([...files]);
    // The same file again has to count as a change.
    if (input.current) input.current.value = "";
  }

  return (
    <div
      class={over.value ? "drop drop-over" : "drop"}
      onDragOver={(event) => hover(event, true)}
      onDragLeave={(event) => hover(event, false)}
      onDrop={(event) => {
        hover(event, false);
        take(event.dataTransfer?.files);
      }}
    >
      <p>{label}</p>
      <button type="button" onClick={() => input.current?.click()}>
        {text().common.chooseFiles}
      </button>
      <input
        ref={input}
        class="unseen"
        type="file"
        tabIndex={-1}
        aria-label={label}
        accept={accept.join(",")}
        multiple={multiple}
        onChange={(event) => take(event.currentTarget.files)}
      />
      <p class="quiet">{accept.join(" ")}</p>
    </div>
  );
}
