import type { Check } from "../api.ts";
import { itemsOf, type Listed } from "../data/listed.ts";
import { useResource } from "../data/resource.ts";
import { Title } from "../shell/title.tsx";
import { format, text } from "../text/index.ts";
import { Prose } from "../ui/prose.tsx";
import { Shown } from "../ui/shown.tsx";

const GLYPHS: Record<Check["status"], string> = { finding: "✕", note: "!", ok: "✓" };
/** What is wrong comes first. */
const ORDER = Object.keys(GLYPHS);

/** What is wrong here, and how to fix it: the same checks as `starling doctor`. */
export function Doctor() {
  const checks = useResource<Listed<Check, "checks">>("/doctor");
  const words = text().doctor;
  return (
    <>
      <Title>{text().nav.doctor}</Title>
      <p>
        <button type="button" onClick={checks.refresh}>
          {words.again}
        </button>
      </p>
      <Shown of={checks}>{(listed) => <Checks checks={itemsOf(listed, "checks")} />}</Shown>
    </>
  );
}

function Checks({ checks }: { checks: readonly Check[] }) {
  const words = text().doctor;
  const findings = checks.filter(({ status }) => status === "finding").length;
  const ordered = checks.toSorted((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
  return (
    <>
      <p role="status">{findings === 0 ? words.healthy : words.found(format().count(findings))}</p>
      <ul class="findings">
        {ordered.map((check, n) => (
          <One key={n} check={check} />
        ))}
      </ul>
    </>
  );
}

function One({ check: { name, status, what, fix } }: { check: Check }) {
  const words = text().doctor;
  return (
    <li class={`panel finding finding-${status}`}>
      <p>
        <span aria-hidden="true">{GLYPHS[status]}</span>
        <span class="unseen">{words[status]}</span> <code>{name}</code> <Prose text={what} />
      </p>
      {fix !== null && (
        <p>
          <span class="label">{text().common.fix}</span> <Prose text={fix} />
        </p>
      )}
    </li>
  );
}
