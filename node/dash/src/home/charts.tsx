import { useSignal } from "@preact/signals";
import type { Sensors } from "../api.ts";
import { useResource } from "../data/resource.ts";
import { format, text } from "../text/index.ts";
import { Later } from "../ui/later.tsx";
import { Panel } from "../ui/panel.tsx";
import { Shown } from "../ui/shown.tsx";
import { column, GAUGES, thinned, UNITS, type Column } from "./samples.ts";

const SPANS = ["hour", "day"] as const;
type Span = (typeof SPANS)[number];

const EVERY_MS: Record<Span, number> = { hour: 5000, day: 60_000 };
const TABLE_ROWS = 30;

/** How the device was, over the last hour or day. */
export function Charts() {
  const span = useSignal<Span>("hour");
  const words = text().home;
  return (
    <Panel
      title={words.sensors}
      tools={
        <div role="group" aria-label={words.span} class="choice">
          {SPANS.map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={span.value === one}
              onClick={() => {
                span.value = one;
              }}
            >
              {words.spans[one]}
            </button>
          ))}
        </div>
      }
    >
      <Gauges span={span.value} />
    </Panel>
  );
}

function Gauges({ span }: { span: Span }) {
  const sensors = useResource<Sensors>(`/sensors?span=${span}`, { every_ms: EVERY_MS[span] });
  return (
    <Shown of={sensors}>
      {(measured) => {
        const columns = GAUGES.map((gauge) => column(measured, gauge)).filter((one) => one !== null);
        if (columns.length === 0) return <p class="quiet">{text().home.noSensors}</p>;
        return (
          <div class="charts">
            {columns.map((one) => (
              <Gauge key={one.gauge} of={one} />
            ))}
          </div>
        );
      }}
    </Shown>
  );
}

function Gauge({ of }: { of: Column }) {
  const name = text().home.gauges[of.gauge];
  const { measure } = format();
  const unit = UNITS[of.gauge];
  const summary = text().home.summary(name, measure(of.now, unit), measure(of.low, unit), measure(of.high, unit));
  return (
    <figure class="chart">
      <figcaption>
        {name} <strong class="number">{measure(of.now, unit)}</strong>
      </figcaption>
      <Later load={() => import("./chart.tsx")}>{({ Chart }) => <Chart of={of} unit={unit} label={summary} />}</Later>
      <Table of={of} unit={unit} name={name} />
    </figure>
  );
}

/** The numbers behind a chart; written only while somebody looks. */
function Table({ of, unit, name }: { of: Column; unit: string; name: string }) {
  const open = useSignal(false);
  const { clock, measure } = format();
  const words = text().home;
  return (
    <details
      onToggle={(event) => {
        open.value = event.currentTarget.open;
      }}
    >
      <summary>{words.table(name)}</summary>
      {open.value && (
        <div class="scroll" tabIndex={0} role="group" aria-label={name}>
          <table>
            <thead>
              <tr>
                <th scope="col">{words.time}</th>
                <th scope="col">{name}</th>
              </tr>
            </thead>
            <tbody>
              {thinned(of, TABLE_ROWS).map(({ at_s, value }) => (
                <tr key={at_s}>
                  <td>{clock(at_s * 1000)}</td>
                  <td class="number">{measure(value, unit)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
