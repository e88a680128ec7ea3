/** Waits between tries: half a second, doubled each time, 10 s at most. Pure. */

const FIRST_MS = 500;
const MOST_MS = 10_000;

export function backoff(tries: number): number {
  return Math.min(FIRST_MS * 2 ** tries, MOST_MS);
}
