/**
 * Which rows of a long table have to exist. Pure arithmetic over a fixed row height.
 *
 * Invariant: the rows of `rowsIn` cover the visible part, whatever the scroll position is.
 */

/** Rows beyond both edges, so that a quick scroll shows no gap before the next frame. */
export const OVERSCAN = 6;

export interface Span {
  /** The first row that exists. */
  first: number;
  /** The one after the last. */
  end: number;
}

/** The rows to draw for a view of `height` px, `top` px below the table's beginning. */
export function rowsIn(top: number, height: number, row: number, count: number): Span {
  const clamp = (n: number) => Math.min(Math.max(n, 0), count);
  return {
    first: clamp(Math.floor(top / row) - OVERSCAN),
    end: clamp(Math.ceil((top + height) / row) + OVERSCAN),
  };
}
