/** Sorting by a column. Pure; unknown values stand last in both directions. */

export type Key = string | number | null;

export interface Order<C extends string> {
  column: C;
  down: boolean;
}

/** The order after a press on a column's header: the same column turns round. */
export function pressed<C extends string>(order: Order<C>, column: C): Order<C> {
  return { column, down: order.column === column ? !order.down : false };
}

function compare(a: Key, b: Key): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [left, right] = [String(a), String(b)];
  return left < right ? -1 : Number(left > right);
}

/** A sorted copy; rows that are equal stay in their order. */
export function sorted<R>(rows: readonly R[], key: (row: R) => Key, down: boolean): R[] {
  const turn = down ? -1 : 1;
  // Each key is made once: for 10,000 rows, comparing asks for it a quarter of a million times.
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort(({ key: a }, { key: b }) => {
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return turn * compare(a, b);
  });
  return keyed.map(({ row }) => row);
}
