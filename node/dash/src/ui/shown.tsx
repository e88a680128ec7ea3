import type { ComponentChildren } from "preact";
import type { Resource } from "../data/resource.ts";
import { text } from "../text/index.ts";
import { FailureNote } from "./reason.tsx";

interface Props<T> {
  of: Resource<T>;
  children: (value: T) => ComponentChildren;
}

/** A resource's value once it is here; until then that it is coming, or why it is not. An older value stays in view. */
export function Shown<T>({ of, children }: Props<T>) {
  const value = of.value.value;
  const failure = of.failure.value;
  if (value === null && failure === null) return <p class="quiet">{text().common.loading}</p>;
  return (
    <>
      <FailureNote failure={failure} />
      {value !== null && children(value)}
    </>
  );
}
