/**
 * A setting's value as text in a field, and back. Pure.
 *
 * The daemon has the last word on a value; what is checked here is what can be said before asking.
 */
import type { Setting } from "../api.ts";

export type Value = Setting["value"];
export type Kind = Setting["kind"];

/** What is wrong with a text, as a word of the catalogue with its numbers. */
export type Problem =
  | { word: "number" }
  | { word: "range"; low: number; high: number }
  | { word: "length"; low: number; high: number }
  | { word: "address"; item: string }
  | { word: "many"; high: number };

export type Parsed = { value: Value; problem: null } | { value: null; problem: Problem };

/** As the daemon has it. */
const ITEMS_MOST = 64;

const good = (value: Value): Parsed => ({ value, problem: null });
const bad = (problem: Problem): Parsed => ({ value: null, problem });

/** Whether a value is a list, which is written one item a line. */
export function isList(kind: Kind): boolean {
  return kind.type === "addresses" || kind.type === "list";
}

export function written(value: Value): string {
  return Array.isArray(value) ? value.join("\n") : String(value);
}

export function parse(kind: Kind, text: string): Parsed {
  switch (kind.type) {
    case "number":
      return number(text.trim(), kind.low ?? 0, kind.high ?? Number.MAX_SAFE_INTEGER);
    case "text":
      return line(text.trim(), kind.low ?? 0, kind.high ?? Number.MAX_SAFE_INTEGER);
    case "one_of":
      return good(text);
    case "addresses":
    case "list":
      return items(text, kind.type === "addresses");
  }
}

function number(text: string, low: number, high: number): Parsed {
  if (!/^\d+$/.test(text)) return bad({ word: "number" });
  const value = Number(text);
  return value >= low && value <= high ? good(value) : bad({ word: "range", low, high });
}

function line(text: string, low: number, high: number): Parsed {
  const { length } = new TextEncoder().encode(text);
  return length >= low && length <= high ? good(text) : bad({ word: "length", low, high });
}

function items(text: string, addresses: boolean): Parsed {
  const all = text
    .split("\n")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  if (all.length > ITEMS_MOST) return bad({ word: "many", high: ITEMS_MOST });
  const wrong = addresses ? all.find((item) => !item.startsWith("/")) : undefined;
  return wrong === undefined ? good(all) : bad({ word: "address", item: wrong });
}
