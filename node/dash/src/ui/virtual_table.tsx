/**
 * A table of very many rows, of which only those in view exist.
 *
 * Rows have one height and are placed by script; assistive technology learns the true count and places from
 * aria-rowcount and aria-rowindex.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { rowsIn, type Span } from "../window.ts";
import type { Order } from "./order.ts";

const ROW_PX = 30;
/** Header and scroll bar, so that a short table needs no scrolling. */
const FRAME_PX = 52;

const px = (n: number) => `${n}px`;

export interface VirtualColumn<R, C extends string> {
  name: C;
  title: string;
  /** Track of the CSS grid that all rows share. */
  width: string;
  numeric?: boolean;
  cell: (row: R) => ComponentChildren;
}

interface Props<R, C extends string> {
  label: string;
  rows: readonly R[];
  rowKey: (row: R) => string;
  columns: readonly VirtualColumn<R, C>[];
  order: Order<C>;
  onSort: (column: C) => void;
  /** The row that is shown elsewhere in full. */
  current: string | null;
}

export function VirtualTable<R, C extends string>({ label, rows, rowKey, columns, order, onSort, current }: Props<R, C>) {
  const view = useRef<HTMLDivElement>(null);
  const span = useSignal<Span>({ first: 0, end: 0 });

  function look() {
    const box = view.current;
    if (!box) return;
    const next = rowsIn(box.scrollTop, box.clientHeight, ROW_PX, rows.length);
    const { first, end } = span.peek();
    if (next.first !== first || next.end !== end) span.value = next;
  }

  useLayoutEffect(look, [rows.length]);

  const tracks = columns.map(({ width }) => width).join(" ");
  const { first, end } = span.value;
  return (
    <div
      class="virtual"
      ref={view}
      onScroll={look}
      tabIndex={0}
      role="group"
      aria-label={label}
      style={{ height: `min(60vh, ${px(rows.length * ROW_PX + FRAME_PX)})` }}
    >
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1} class="virtual-table">
        <div role="rowgroup" class="virtual-head">
          <div role="row" aria-rowindex={1} class="virtual-row" style={{ gridTemplateColumns: tracks }}>
            {columns.map((column) => (
              <Header key={column.name} column={column} order={order} onSort={onSort} />
            ))}
          </div>
        </div>
        <div role="rowgroup" class="virtual-body" style={{ height: px(rows.length * ROW_PX) }}>
          {rows.slice(first, end).map((row, n) => (
            <div
              key={rowKey(row)}
              role="row"
              aria-rowindex={first + n + 2}
              aria-current={rowKey(row) === current ? "true" : undefined}
              class="virtual-row virtual-line"
              style={{ top: px((first + n) * ROW_PX), height: px(ROW_PX), gridTemplateColumns: tracks }}
            >
              {columns.map(({ name, numeric, cell }) => (
                <div key={name} role="cell" class={numeric ? "number" : undefined}>
                  {cell(row)}
                </div>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

interface HeaderProps<R, C extends string> {
  column: VirtualColumn<R, C>;
  order: Order<C>;
  onSort: (column: C) => void;
}

function Header<R, C extends string>({ column: { name, title, numeric }, order, onSort }: HeaderProps<R, C>) {
  const sorted = order.column === name;
  const way = order.down ? "descending" : "ascending";
  return (
    <div role="columnheader" aria-sort={sorted ? way : "none"} class={numeric ? "number" : undefined}>
      <button type="button" class="sort" onClick={() => onSort(name)}>
        {title}
        <span aria-hidden="true">{sorted ? (order.down ? " ▾" : " ▴") : ""}</span>
      </button>
    </div>
  );
}
