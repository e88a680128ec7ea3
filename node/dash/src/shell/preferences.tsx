import { language, LANGUAGES, theme, THEMES } from "../data/preferences.ts";
import { text } from "../text/index.ts";

/** Each language in its own words: whoever cannot read the current one finds the way out. */
const NAMES = { en: "English", zh: "中文" } as const;

export function Preferences() {
  const words = text().shell;
  return (
    <div class="preferences">
      <label>
        <span class="unseen">{words.language}</span>
        <select
          value={language.value}
          onChange={(event) => {
            language.value = LANGUAGES.find((one) => one === event.currentTarget.value) ?? "en";
          }}
        >
          {LANGUAGES.map((one) => (
            <option key={one} value={one} lang={one}>
              {NAMES[one]}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="unseen">{words.theme}</span>
        <select
          value={theme.value}
          onChange={(event) => {
            theme.value = THEMES.find((one) => one === event.currentTarget.value) ?? "system";
          }}
        >
          {THEMES.map((one) => (
            <option key={one} value={one}>
              {words.themes[one]}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
