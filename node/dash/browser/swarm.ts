/**
 * Real peers of one swarm on loopback, each with a home of its own in one folder.
 *
 * Invariant: a peer leaves when its stdin ends, and so with this process, however that ends.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const START_MS = 60_000;
const COMMAND_MS = 60_000;
const LEAVE_MS = 10_000;
/** Short slices by one thread each: there is something to see grow, on machines with many cores as well. */
const SLICE_MS = 500;

/** With these a peer lends whatever its machine does, as `node/src/stage.rs` has it. */
const ALWAYS = {
  STARLING_LEND_BATTERY: "lend",
  STARLING_LEND_FULL_SCREEN: "lend",
  STARLING_LEND_TEMPERATURE_C: "0",
  STARLING_LEND_MEMORY_PCT: "100",
};

/** The caller's own settings of Starling must not decide what is tried here. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("STARLING_"));
  return { ...Object.fromEntries(kept), ...ALWAYS };
}

interface Happening {
  happening: string;
  api?: string;
  address?: string;
}

export class Peer {
  /** Where its API and its pages are. */
  url = "";
  /** Where others dial it. */
  address = "";
  readonly home: string;
  private readonly binary: string;
  private process: ChildProcess | null = null;

  constructor(binary: string, home: string) {
    this.binary = binary;
    this.home = home;
  }

  private get log(): string {
    return `${this.home}.log`;
  }

  /** Starts it; done when it can be dialled. */
  async up(...more: string[]): Promise<void> {
    const log = openSync(this.log, "a");
    const args = ["up", "--events", "--exit-on-stdin-close", "--device", "cpu", "--home", this.home, ...more];
    const started = spawn(this.binary, args, { env: environment(), stdio: ["pipe", "pipe", log] });
    closeSync(log);
    this.process = started;
    if (!started.stdout) throw new Error("a pipe was asked for");
    const lines = createInterface({ input: started.stdout });
    await new Promise<void>((done, fail) => {
      const failed = (why: string) => fail(new Error(`${args.join(" ")}: ${why}\n${readFileSync(this.log, "utf8")}`));
      const late = setTimeout(() => failed("it does not start"), START_MS);
      started.once("error", ({ message }) => failed(message));
      started.once("exit", () => failed("it ended"));
      // Read to the end: a peer whose stdout is full waits.
      lines.on("line", (line) => {
        const { happening, api, address } = JSON.parse(line) as Happening;
        if (happening === "started" && api) this.url = api;
        if (happening !== "listening" || !address?.includes("/tcp/")) return;
        this.address = address;
        clearTimeout(late);
        done();
      });
    });
  }

  /** Asks it to leave, and makes it if it does not. */
  async down(): Promise<void> {
    const running = this.process;
    this.process = null;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.stdin?.end();
    running.kill("SIGTERM");
    const late = setTimeout(() => running.kill("SIGKILL"), LEAVE_MS);
    await ended;
    clearTimeout(late);
  }

  /** What a command of this home prints. */
  async command(...args: string[]): Promise<string> {
    const options = { env: environment(), timeout: COMMAND_MS, cwd: join(this.home, "..") };
    return (await promisify(execFile)(this.binary, [...args, "--home", this.home], options)).stdout.trim();
  }

  /** What its API answers; null where it has no such thing. */
  async get<T>(path: string): Promise<T | null> {
    const token = readFileSync(join(this.home, "api.token"), "utf8").trim();
    const answer = await fetch(`${this.url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }
}

export class Swarm {
  readonly peers: Peer[] = [];

  /** The peer whose pages are looked at: the one that all others were told of. */
  get first(): Peer {
    const [first] = this.peers;
    if (!first) throw new Error("no peer was started");
    return first;
  }

  async start(binary: string, folder: string, count: number): Promise<void> {
    const genesis = join(folder, "genesis.toml");
    for (let n = 0; n < count; n += 1) {
      const peer = new Peer(binary, join(folder, `peer-${n + 1}`));
      this.peers.push(peer);
      if (n === 0) {
        await peer.command("swarm", "create", "pages", "--open", "--scope", "local", "-o", genesis);
        writeFileSync(genesis, readFileSync(genesis, "utf8").replace(/^slice_ms = .*/m, `slice_ms = ${SLICE_MS}`));
      }
      await peer.command("swarm", "join", genesis);
      await peer.up("--set", "limits.threads=1", ...(n === 0 ? [] : ["--bootstrap", this.first.address]));
    }
    await until("the peers know each other", COMMAND_MS, async () => {
      const others = await this.first.get<{ peers: unknown[] }>("/peers");
      return (others?.peers.length ?? 0) >= count - 1;
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.down()));
  }
}

/** Asks again until it is so. */
export async function until(what: string, bound_ms: number, is: () => Promise<boolean>): Promise<void> {
  const end_ms = Date.now() + bound_ms;
  while (!(await is())) {
    if (Date.now() > end_ms) throw new Error(`within ${bound_ms / 1000} s it did not come true that ${what}`);
    await new Promise((again) => setTimeout(again, 100));
  }
}
