/** The daemon's sentences: what stands between backticks is something to type. They are English in every language. */
export function Prose({ text }: { text: string }) {
  return <span lang="en">{text.split("`").map((piece, n) => (n % 2 === 1 ? <code key={n}>{piece}</code> : piece))}</span>;
}
