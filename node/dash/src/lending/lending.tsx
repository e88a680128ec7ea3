import type { Lend, LendRule, Readings, Setting } from "../api.ts";
import { itemsOf, type Listed } from "../data/listed.ts";
import { useResource } from "../data/resource.ts";
import { Title } from "../shell/title.tsx";
import { aboutOf } from "../settings/about.ts";
import { Editor } from "../settings/editor.tsx";
import { text } from "../text/index.ts";
import { ReasonNote } from "../ui/reason.tsx";
import { Shown } from "../ui/shown.tsx";
import { readingOf } from "./reading.ts";

/** A glyph for each verdict, so that nobody needs colours to tell them apart. */
const GLYPHS: Record<LendRule["now"], string> = { off: "–", unknown: "?", allows: "✓", limits: "≤", forbids: "✕" };

/** When this machine lends: every rule, and what it would do now. */
export function Lending() {
  const lend = useResource<Lend>("/lend", { every_ms: 2000 });
  const settings = useResource<Listed<Setting, "settings">>("/settings");
  const words = text().lending;
  const known = settings.value.value;
  const list = known === null ? [] : itemsOf(known, "settings");

  function saved() {
    settings.refresh();
    lend.refresh();
  }

  return (
    <>
      <Title>{text().nav.lending}</Title>
      <p>{words.about}</p>
      <Shown of={lend}>
        {({ reason, rules, readings }) => (
          <>
            <div aria-live="polite">{reason ? <ReasonNote reason={reason} /> : <p>{words.allAllow}</p>}</div>
            <section class="panel" aria-label={words.rules}>
              {rules.map((rule) => (
                <Rule
                  key={rule.key}
                  rule={rule}
                  readings={readings}
                  setting={list.find(({ key }) => key === rule.key) ?? null}
                  onSaved={saved}
                />
              ))}
            </section>
          </>
        )}
      </Shown>
    </>
  );
}

interface RuleProps {
  rule: LendRule;
  readings: Readings;
  setting: Setting | null;
  onSaved: () => void;
}

function Rule({ rule, readings, setting, onSaved }: RuleProps) {
  const reading = readingOf(rule.key, readings);
  const words = text().lending;
  return (
    <div class="setting">
      <div>
        <h2>{aboutOf(rule.key, setting?.about ?? rule.key)}</h2>
        <p class={`rule-now rule-${rule.now}`}>
          <span aria-hidden="true">{GLYPHS[rule.now]}</span> {words.now[rule.now]}
          {reading !== null && <span class="quiet"> ({reading})</span>}
        </p>
        <p class="quiet">
          <code>{rule.key}</code>
        </p>
      </div>
      {setting && <Editor setting={setting} label={aboutOf(rule.key, setting.about)} onSaved={onSaved} />}
    </div>
  );
}
