import { format } from "../text/index.ts";

interface Props {
  label: string;
  done: number;
  of: number;
}

/** How much of something is done, as a bar and in numbers. */
export function Progress({ label, done, of }: Props) {
  const { count, share } = format();
  return (
    <span class="progress">
      <progress aria-label={label} value={done} max={Math.max(of, 1)} />
      <span class="number">
        {count(done)} / {count(of)} ({share(of > 0 ? done / of : 0)})
      </span>
    </span>
  );
}
