/** How long a job will still take if it goes on as it went so far. Pure. */

/** Fewer slices than this say little about the next ones. */
const LEAST_SLICES = 2;

/** Seconds; null while too little is done to say. */
export function secondsLeft(wall_s: number, done: number, slices: number): number | null {
  if (done < LEAST_SLICES || done >= slices) return null;
  return (wall_s / done) * (slices - done);
}
