/** The route that the browser's address names. */
import { signal } from "@preact/signals";
import { link, parse, type PageName, type Route } from "../router.ts";

export const route = signal<Route>(parse(location.hash));

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

export function go(page: PageName, id: string | null = null): void {
  location.hash = link(page, id);
}
