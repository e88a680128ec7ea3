/** What a setting is, in the chosen language where the catalogue knows it, else in the daemon's words. */
import { text } from "../text/index.ts";

export function aboutOf(key: string, otherwise: string): string {
  const known: Readonly<Record<string, string>> = text().settings.abouts;
  return known[key] ?? otherwise;
}
