/** What this browser's user chose: language and theme. Kept in the browser; the daemon is not told. */
import { effect, signal } from "@preact/signals";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

function stored<T extends string>(key: string, allowed: readonly T[], otherwise: T): T {
  try {
    const kept = localStorage.getItem(key);
    return allowed.find((one) => one === kept) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing: the choice lasts as long as the page.
  }
}

const spoken: Language = navigator.language.startsWith("zh") ? "zh" : "en";

export const language = signal<Language>(stored("starling.language", LANGUAGES, spoken));
export const theme = signal<Theme>(stored("starling.theme", THEMES, "system"));

/** Writes both to the document, now and whenever they change. */
export function applyPreferences(): void {
  effect(() => {
    document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en";
    store("starling.language", language.value);
  });
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    store("starling.theme", theme.value);
  });
}

/** Whether the page is dark now; charts have to know, because a canvas does not follow the style sheet. */
export const dark = signal(false);

const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", (change) => {
  systemDark.value = change.matches;
});

effect(() => {
  dark.value = theme.value === "dark" || (theme.value === "system" && systemDark.value);
});
