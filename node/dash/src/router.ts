/**
 * Which page an address names: `#/jobs/3fa9`. Pure; `location.ts` follows the browser's address.
 *
 * Every page has one fixed name, so that an address can be kept and sent to oneself.
 */

export const PAGES = ["home", "swarm", "jobs", "submit", "receipts", "lending", "doctor", "logs", "settings"] as const;

export type PageName = (typeof PAGES)[number];

export interface Route {
  page: PageName;
  /** What of that page: a job's or a peer's id. */
  id: string | null;
}

const HOME: Route = { page: "home", id: null };

function isPage(name: string | undefined): name is PageName {
  return PAGES.some((page) => page === name);
}

/** The route of a fragment; home for what names no page. */
export function parse(fragment: string): Route {
  if (!fragment.startsWith("#/")) return HOME;
  const [name, id] = fragment.slice(2).split("/");
  if (!isPage(name)) return HOME;
  return { page: name, id: id ? decode(id) : null };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The fragment of a route. */
export function link(page: PageName, id: string | null = null): string {
  return id === null ? `#/${page}` : `#/${page}/${encodeURIComponent(id)}`;
}

/** The one-time code in the fragment that `starling dash` opens the pages with. */
export function codeIn(fragment: string): string | null {
  const code = new URLSearchParams(fragment.replace(/^#/, "")).get("code");
  return fragment.startsWith("#/") || !code ? null : code;
}
