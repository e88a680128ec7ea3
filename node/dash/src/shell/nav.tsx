import { route } from "../data/location.ts";
import { link, PAGES } from "../router.ts";
import { text } from "../text/index.ts";

export function Nav() {
  const words = text().nav;
  const current = route.value.page;
  return (
    <nav class="nav" aria-label={text().shell.nav}>
      <ul>
        {PAGES.map((page) => (
          <li key={page}>
            <a href={link(page)} aria-current={page === current ? "page" : undefined}>
              {words[page]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
