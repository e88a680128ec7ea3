import { short } from "../format.ts";
import { link } from "../router.ts";

/** A peer by the beginning of its key, with the way to what is known of it. */
export function PeerLink({ peer }: { peer: string }) {
  return (
    <a class="id" href={link("swarm", peer)} title={peer}>
      {short(peer)}
    </a>
  );
}

export function JobLink({ job }: { job: string }) {
  return (
    <a class="id" href={link("jobs", job)} title={job}>
      {short(job)}
    </a>
  );
}
