/** A place in a text, shown the way compilers do. Pure. */

export interface Excerpt {
  line: number;
  text: string;
  /** As long as it takes to stand below the place. */
  caret: string;
}

/** Line `line`, from 1, with a caret below `column`, from 1; null if the text has no such line. */
export function excerpt(source: string, line: number, column: number): Excerpt | null {
  const text = source.split(/\r?\n/)[line - 1];
  if (text === undefined) return null;
  // Tabs stay tabs, so that the caret moves as far as the text above it does.
  const before = text.slice(0, Math.max(column - 1, 0)).replace(/[^\t]/g, " ");
  return { line, text, caret: `${before}^` };
}
