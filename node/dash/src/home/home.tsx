import type { Work } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { Title } from "../shell/title.tsx";
import { text } from "../text/index.ts";
import { Charts } from "./charts.tsx";
import { Identity } from "./identity.tsx";
import { LendSwitch } from "./lend_switch.tsx";
import { Done, Running } from "./work.tsx";

const WORK = new Set(["working", "earned", "lost", "leased", "slice_done"]);

/** Does this machine lend, what does it do, and how is it? */
export function Home() {
  const work = useResource<Work>("/work", { every_ms: 5000, when: ({ event }) => WORK.has(event) });
  return (
    <>
      <Title>{text().nav.home}</Title>
      <LendSwitch />
      <div class="columns">
        <Running work={work} />
        <Done work={work} />
      </div>
      <Charts />
      <Identity />
    </>
  );
}
