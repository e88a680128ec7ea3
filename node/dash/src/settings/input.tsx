import { isList, type Kind } from "./value.ts";

interface Props {
  id: string;
  kind: Kind;
  value: string;
  problem: boolean;
  onInput: (typed: string) => void;
}

/** The control that goes with what a setting takes. */
export function Input({ id, kind, value, problem, onInput }: Props) {
  const common = { id, "aria-invalid": problem, "aria-describedby": `${id}-problem` };
  if (kind.type === "one_of") {
    return (
      <select {...common} value={value} onChange={(event) => onInput(event.currentTarget.value)}>
        {(kind.words ?? []).map((word) => (
          <option key={word} value={word}>
            {word}
          </option>
        ))}
      </select>
    );
  }
  if (isList(kind)) {
    const rows = value.split("\n").length;
    return (
      <textarea {...common} rows={Math.max(rows, 2)} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    );
  }
  return (
    <input
      {...common}
      type="text"
      inputMode={kind.type === "number" ? "numeric" : "text"}
      value={value}
      onInput={(event) => onInput(event.currentTarget.value)}
    />
  );
}
