/** The beginning: session, then pages. */
import { render } from "preact";
import { startFeed } from "./data/feed.ts";
import { applyPreferences } from "./data/preferences.ts";
import { startSession } from "./data/session.ts";
import { watchVersion } from "./data/version.ts";
import { Shell } from "./shell/shell.tsx";
import "./styles/index.css";

applyPreferences();
await startSession();
startFeed();
watchVersion();

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(<Shell />, root);
}
