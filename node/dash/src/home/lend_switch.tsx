import { useSignal } from "@preact/signals";
import type { Lend, LendOrder, Status } from "../api.ts";
import { asFailure, put, type Failure } from "../data/client.ts";
import { useResource } from "../data/resource.ts";
import { format, text } from "../text/index.ts";
import { useAnnounced } from "../ui/announce.tsx";
import { FailureNote, ReasonNote } from "../ui/reason.tsx";
import { Shown } from "../ui/shown.tsx";

const HOUR_S = 3600;

/** Lending or not, the one reason why, and the button that stops it. */
export function LendSwitch() {
  const lend = useResource<Lend>("/lend", { every_ms: 2000 });
  const failure = useSignal<Failure | null>(null);

  async function order(what: LendOrder) {
    const before = lend.value.peek();
    if (before) lend.set(expected(before, what));
    failure.value = null;
    try {
      lend.set(await put<Lend>("POST", "/lend", what));
    } catch (thrown) {
      failure.value = asFailure(thrown);
      lend.refresh();
    }
  }

  if (lend.failure.value?.notOffered) return <WithoutSwitch />;
  return (
    <section class="lend" aria-label={text().home.lending}>
      <Shown of={lend}>
        {(value) => (
          <>
            <Standing lend={value} />
            <Buttons lend={value} order={(what) => void order(what)} />
          </>
        )}
      </Shown>
      <FailureNote failure={failure.value} />
    </section>
  );
}

/** What the daemon will most likely answer: shown at once, and replaced by what it does answer. */
function expected(lend: Lend, order: LendOrder): Lend {
  const now_s = Math.floor(Date.now() / 1000);
  if (order.switch === "on") return { ...lend, switch: "on", paused_until_s: null };
  const until = order.for_s === undefined ? null : now_s + order.for_s;
  const word = order.switch === "off" ? "off" : "paused";
  return { ...lend, lends: false, switch: word, paused_until_s: until, reason: null };
}

function stateOf(lend: Lend): string {
  const words = text().home;
  if (lend.lends) return words.lends;
  return lend.switch === "paused" ? words.paused : words.lendsNot;
}

function Standing({ lend }: { lend: Lend }) {
  const words = text().home;
  useAnnounced(stateOf(lend));
  return (
    <div>
      <p class="lend-word">
        <span class={lend.lends ? "dot dot-on" : "dot"} aria-hidden="true">
          {lend.lends ? "●" : "○"}
        </span>{" "}
        {stateOf(lend)}
        {lend.switch === "paused" && <small> {pausedUntil(lend)}</small>}
      </p>
      {lend.reason && <ReasonNote reason={lend.reason} weight="quiet" />}
      {lend.against.length > 1 && <p class="quiet">{words.moreReasons(lend.against.length - 1)}</p>}
    </div>
  );
}

function pausedUntil(lend: Lend): string {
  const words = text().home;
  return lend.paused_until_s === null ? words.untilResumed : words.until(format().moment(lend.paused_until_s));
}

function Buttons({ lend, order }: { lend: Lend; order: (what: LendOrder) => void }) {
  const words = text().home;
  if (lend.switch !== "on") {
    return (
      <div class="lend-buttons">
        <button type="button" class="big" onClick={() => order({ switch: "on" })}>
          {words.resume}
        </button>
      </div>
    );
  }
  return (
    <div class="lend-buttons">
      <button type="button" class="big" onClick={() => order({ switch: "pause", for_s: HOUR_S })}>
        {words.pauseHour}
      </button>
      <button type="button" onClick={() => order({ switch: "pause" })}>
        {words.pause}
      </button>
    </div>
  );
}

/** A daemon without a switch still says whether it lends. */
function WithoutSwitch() {
  const status = useResource<Status>("/status", { every_ms: 5000 });
  const words = text().home;
  return (
    <section class="lend" aria-label={words.lending}>
      <Shown of={status}>
        {({ lends }) => (
          <div>
            <p class="lend-word">{lends ? words.lends : words.lendsNot}</p>
            <p class="quiet">{words.noSwitch}</p>
          </div>
        )}
      </Shown>
    </section>
  );
}
