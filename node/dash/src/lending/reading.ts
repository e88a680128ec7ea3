/** What a rule was judged by, as text. */
import type { Readings } from "../api.ts";
import { format, text } from "../text/index.ts";

/** The reading that goes with a rule's setting; null without one. */
export function readingOf(key: string, readings: Readings): string | null {
  const words = text().lending;
  const { duration, measure } = format();
  const { apps, foreign_gpu_pct, full_screen, idle_s, on_battery, temperature_c, memory_pct } = readings;
  switch (key) {
    case "lend.idle_s":
      return idle_s === null ? null : words.idle(duration(idle_s));
    case "lend.full_screen":
      return full_screen === null ? null : words.fullScreen[full_screen ? "yes" : "no"];
    case "lend.apps":
      return apps === null ? null : apps.length === 0 ? words.noApps : words.apps(apps.join(", "));
    case "lend.foreign_gpu_pct":
      return foreign_gpu_pct === null ? null : words.foreignGpu(measure(foreign_gpu_pct, "%", 0));
    case "lend.battery":
      return on_battery === null ? null : words.battery[on_battery ? "yes" : "no"];
    case "lend.temperature_c":
      return temperature_c === null ? null : words.temperature(measure(temperature_c, "°C", 0));
    case "lend.memory_pct":
      return memory_pct === null ? null : words.memory(measure(memory_pct, "%", 0));
    default:
      return null;
  }
}
