interface Props {
  text: string;
  /** Whether it is the catalogue's, in the page's language. */
  ours?: boolean;
}

/** Sentences in which what stands between backticks is something to type. The daemon's are English in every language. */
export function Prose({ text, ours = false }: Props) {
  return (
    <span lang={ours ? undefined : "en"}>
      {text.split("`").map((piece, n) => (n % 2 === 1 ? <code key={n}>{piece}</code> : piece))}
    </span>
  );
}
