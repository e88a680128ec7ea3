import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Props {
  title: string;
  /** What stands beside the title: a filter, a button. */
  tools?: ComponentChildren;
  children: ComponentChildren;
}

/** A part of a page, with a heading that names it. */
export function Panel({ title, tools, children }: Props) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {tools && <div class="panel-tools">{tools}</div>}
      </header>
      {children}
    </section>
  );
}
