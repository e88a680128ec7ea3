import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { link as connection } from "../data/link.ts";
import { route } from "../data/location.ts";
import { Announcer } from "../ui/announce.tsx";
import { text } from "../text/index.ts";
import { Banner } from "./banner.tsx";
import { Locked } from "./locked.tsx";
import { Nav } from "./nav.tsx";
import { Page } from "./page.tsx";
import { Preferences } from "./preferences.tsx";

/** What surrounds every page. */
export function Shell() {
  const main = useRef<HTMLElement>(null);

  function skip(event: Event) {
    // The fragment is the router's: the link must not change it.
    event.preventDefault();
    main.current?.focus();
  }

  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        {text().shell.skip}
      </a>
      <header class="bar">
        <span class="brand">Starling</span>
        <Preferences />
      </header>
      <div class="body">
        <Nav />
        <main class="page" id="main" ref={main} tabIndex={-1}>
          <Banner />
          <Arrival>{connection.value === "locked" ? <Locked /> : <Page />}</Arrival>
        </main>
      </div>
      <Announcer />
    </>
  );
}

/** A new page begins at its heading, for the eye and for a screen reader. */
function Arrival({ children }: { children: ComponentChildren }) {
  const { page, id } = route.value;
  const first = useRef(true);

  useEffect(() => {
    document.title = `${text().nav[page]} · Starling`;
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, [page, id]);

  return <>{children}</>;
}
