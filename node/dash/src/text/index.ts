/** What the pages say, in the language that is chosen. Reading it in a component makes that follow the choice. */
import { language, type Language } from "../data/preferences.ts";
import { formatOf, type Format } from "../format.ts";
import { en, type Catalogue } from "./en.ts";
import { REASONS } from "./reasons.ts";
import { zh } from "./zh.ts";

const CATALOGUES: Record<Language, Catalogue> = { en, zh };

export function text(): Catalogue {
  return CATALOGUES[language.value];
}

export function format(): Format {
  return formatOf(language.value);
}

/** What a reason's code means. */
export function meaning(code: string): string {
  return wordFor(REASONS[language.value], code);
}

/** The words for a code that this build knows; the code itself for one that is newer. */
export function wordFor(words: Readonly<Record<string, string>>, code: string): string {
  return words[code] ?? code;
}
