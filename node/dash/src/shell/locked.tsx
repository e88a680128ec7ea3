import { useEffect } from "preact/hooks";
import { probe } from "../data/link.ts";
import { Command } from "../ui/command.tsx";
import { text } from "../text/index.ts";
import { Title } from "./title.tsx";

/** The page has no session: it was opened by hand, or the daemon was started again. */
export function Locked() {
  const words = text().shell;

  // Another tab may have signed in meanwhile: the cookie is for all of them.
  useEffect(() => {
    const look = () => void probe();
    addEventListener("focus", look);
    return () => removeEventListener("focus", look);
  }, []);

  return (
    <>
      <Title>{words.locked}</Title>
      <p>{words.lockedFix}</p>
      <Command line="starling dash" />
    </>
  );
}
