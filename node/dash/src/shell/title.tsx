import type { ComponentChildren } from "preact";

/** A page's heading. It takes the focus when its page comes up. */
export function Title({ children }: { children: ComponentChildren }) {
  return <h1 tabIndex={-1}>{children}</h1>;
}
