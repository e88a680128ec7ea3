/**
 * From the one-time code in the address to the session's cookie.
 *
 * Invariant: the code is out of the address, and so of the tab's history, before anything else runs. The browser may keep
 * it in its own records of where it was: it is spent then.
 */
import { codeIn } from "../router.ts";
import { put } from "./client.ts";

/** Opens a session now, and again when a browser hands a new code to a tab that is open already. */
export async function startSession(): Promise<void> {
  addEventListener("hashchange", () => void openSession());
  await openSession();
}

/** Hands the code in, if there is one. A refusal shows as 401 on whatever is asked next. */
async function openSession(): Promise<void> {
  const code = codeIn(location.hash);
  if (code === null) return;
  history.replaceState(null, "", location.pathname);
  try {
    await put<void>("POST", "/session", { code });
  } catch {
    // A used code does no harm to a page that has its cookie: what is asked next shows whether that counts.
  }
}
