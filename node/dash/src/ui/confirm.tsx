import { useRef } from "preact/hooks";
import { text } from "../text/index.ts";

interface Props {
  /** What the button that asks says. */
  label: string;
  question: string;
  onYes: () => void;
}

/** A button that asks before it does something that cannot be taken back. */
export function Confirm({ label, question, onYes }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const words = text().common;
  const close = () => dialog.current?.close();

  return (
    <>
      <button type="button" class="danger" onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} aria-label={label}>
        <p>{question}</p>
        <div class="row">
          {/* The harmless answer comes first, and so has the focus. */}
          <button type="button" onClick={close}>
            {words.no}
          </button>
          <button
            type="button"
            class="danger"
            onClick={() => {
              close();
              onYes();
            }}
          >
            {label}
          </button>
        </div>
      </dialog>
    </>
  );
}
