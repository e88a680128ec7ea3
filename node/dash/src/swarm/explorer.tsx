import { useSignal } from "@preact/signals";
import { useId, useMemo } from "preact/hooks";
import { UNKNOWN } from "../format.ts";
import { format, text } from "../text/index.ts";
import { Panel } from "../ui/panel.tsx";
import { PeerLink } from "../ui/ids.tsx";
import { pressed, sorted, type Order } from "../ui/order.ts";
import { VirtualTable, type VirtualColumn } from "../ui/virtual_table.tsx";
import { claimOf, classesOf, COLUMNS, filtered, keyOf, type Column, type Device } from "./device.ts";

/** The kernel whose speeds are shown first: the one that most people come for. */
const FIRST_KERNEL = "render";

const WIDTHS: Record<Column, string> = {
  model: "minmax(17rem, 1fr)",
  region: "5.5rem",
  claimed: "5.5rem",
  proven: "6.5rem",
  price: "3.5rem",
  standing: "8rem",
  path: "4.5rem",
  rtt: "4rem",
  slots: "5.5rem",
  software: "7.5rem",
};

const NUMERIC: ReadonlySet<Column> = new Set(["claimed", "proven", "price", "rtt", "slots"]);

/** All devices of the swarm, to sort and to filter. */
export function Explorer({ devices, current }: { devices: readonly Device[]; current: string | null }) {
  const query = useSignal("");
  const kernel = useSignal(FIRST_KERNEL);
  const order = useSignal<Order<Column>>({ column: "claimed", down: true });
  const words = text().swarm;

  const rows = useMemo(
    () => sorted(filtered(devices, query.value), keyOf(order.value.column, kernel.value), order.value.down),
    [devices, query.value, kernel.value, order.value],
  );

  return (
    <Panel
      title={words.devices}
      tools={
        <>
          <KernelChoice devices={devices} kernel={kernel.value} onChoose={(name) => (kernel.value = name)} />
          <Filter value={query.value} onInput={(typed) => (query.value = typed)} />
        </>
      }
    >
      <p class="quiet" aria-live="polite">
        {words.shown(format().count(rows.length), format().count(devices.length))}
      </p>
      <VirtualTable
        label={words.devices}
        rows={rows}
        rowKey={(device) => device.peer}
        columns={columnsFor(kernel.value)}
        order={order.value}
        onSort={(column) => (order.value = pressed(order.value, column))}
        current={current}
      />
    </Panel>
  );
}

function Filter({ value, onInput }: { value: string; onInput: (typed: string) => void }) {
  return (
    <label>
      {text().common.filter} <input type="search" value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}

interface ChoiceProps {
  devices: readonly Device[];
  kernel: string;
  onChoose: (name: string) => void;
}

function KernelChoice({ devices, kernel, onChoose }: ChoiceProps) {
  const id = useId();
  const names = useMemo(() => classesOf(devices), [devices]);
  const all = names.includes(kernel) ? names : [kernel, ...names];
  return (
    <label for={id}>
      {text().swarm.speedsOf}{" "}
      <select id={id} value={kernel} onChange={(event) => onChoose(event.currentTarget.value)}>
        {all.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function columnsFor(kernel: string): VirtualColumn<Device, Column>[] {
  const titles = text().swarm.columns;
  return COLUMNS.map((name) => ({
    name,
    title: titles[name],
    width: WIDTHS[name],
    numeric: NUMERIC.has(name),
    cell: (device: Device) => cellOf(name, device, kernel),
  }));
}

function cellOf(column: Column, device: Device, kernel: string) {
  const words = text().swarm;
  const { si, count, measure } = format();
  const claim = claimOf(device, kernel);
  switch (column) {
    case "model":
      return (
        <>
          <PeerLink peer={device.peer} /> <span title={device.model}>{device.model}</span>
        </>
      );
    case "region":
      return device.region || UNKNOWN;
    case "claimed":
      return si(claim?.units_per_s ?? null, "/s");
    case "proven":
      return claim?.proof?.measured == null ? words.proofs[claim?.proof?.standing ?? "unproven"] : si(claim.proof.measured, "/s");
    case "price":
      return device.price === null ? UNKNOWN : count(device.price);
    case "standing":
      return words.standings[device.standing];
    case "path":
      return device.path === null ? UNKNOWN : words.paths[device.path];
    case "rtt":
      return measure(device.rtt_ms, "ms", 0);
    case "slots":
      return count(device.free_slots);
    case "software":
      return device.software;
  }
}
