import type { Setting } from "../api.ts";
import { itemsOf, type Listed } from "../data/listed.ts";
import { useResource } from "../data/resource.ts";
import { Title } from "../shell/title.tsx";
import { text, wordFor } from "../text/index.ts";
import { Panel } from "../ui/panel.tsx";
import { Shown } from "../ui/shown.tsx";
import { aboutOf } from "./about.ts";
import { Editor } from "./editor.tsx";

/** Every setting: its value, where that comes from, and whether a change counts at once. */
export function Settings() {
  const settings = useResource<Listed<Setting, "settings">>("/settings");
  return (
    <>
      <Title>{text().nav.settings}</Title>
      <Shown of={settings}>
        {(listed) =>
          sectionsOf(itemsOf(listed, "settings")).map(([section, all]) => (
            <Section key={section} name={section} settings={all} onSaved={settings.refresh} />
          ))
        }
      </Shown>
    </>
  );
}

/** Settings by what stands before the point of their names, in the daemon's order. */
function sectionsOf(settings: readonly Setting[]): [string, Setting[]][] {
  const sections = new Map<string, Setting[]>();
  for (const setting of settings) {
    const name = setting.key.split(".")[0] ?? "";
    sections.set(name, [...(sections.get(name) ?? []), setting]);
  }
  return [...sections];
}

interface SectionProps {
  name: string;
  settings: readonly Setting[];
  onSaved: () => void;
}

function Section({ name, settings, onSaved }: SectionProps) {
  return (
    <Panel title={wordFor(text().settings.sections, name)}>
      {settings.map((setting) => (
        <Row key={setting.key} setting={setting} onSaved={onSaved} />
      ))}
    </Panel>
  );
}

function Row({ setting, onSaved }: { setting: Setting; onSaved: () => void }) {
  const words = text().settings;
  return (
    <div class="setting">
      <div>
        <h3>
          <code>{setting.key}</code>
        </h3>
        <p>{aboutOf(setting.key, setting.about)}</p>
        <p class="quiet">
          {words.from[setting.from]} · {setting.live ? words.live : words.restart}
        </p>
      </div>
      <Editor setting={setting} label={setting.key} onSaved={onSaved} />
    </div>
  );
}
