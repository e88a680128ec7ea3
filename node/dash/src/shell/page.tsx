import { route } from "../data/location.ts";
import { Doctor } from "../doctor/doctor.tsx";
import { Home } from "../home/home.tsx";
import { JobPage } from "../jobs/job.tsx";
import { Jobs } from "../jobs/jobs.tsx";
import { Lending } from "../lending/lending.tsx";
import { Logs } from "../logs/logs.tsx";
import { Receipts } from "../receipts/receipts.tsx";
import { Settings } from "../settings/settings.tsx";
import { Submit } from "../submit/submit.tsx";
import { Swarm } from "../swarm/swarm.tsx";

/** The page that the address names. */
export function Page() {
  const { page, id } = route.value;
  switch (page) {
    case "home":
      return <Home />;
    case "swarm":
      return <Swarm chosen={id} />;
    case "jobs":
      return id === null ? <Jobs /> : <JobPage key={id} id={id} />;
    case "submit":
      return <Submit />;
    case "receipts":
      return <Receipts />;
    case "lending":
      return <Lending />;
    case "doctor":
      return <Doctor />;
    case "logs":
      return <Logs />;
    case "settings":
      return <Settings />;
  }
}
