//! Running the binary: with a bound on every wait, and nothing left behind.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde_json::Value;

/// No command of these tests takes longer, however slow the machine.
const BOUND: Duration = Duration::from_secs(120);

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} is not in: {}",
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// A temporary folder with homes in it.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A command with the home `name`.
    pub fn command(&self, home: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
        command
            .args(args)
            .arg("--home")
            .arg(self.path(home))
            .current_dir(self.dir.path());
        command
            .envs(starling::stage::ALWAYS)
            .env_remove("STARLING_LOG")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, as the last arguments of another program.
    pub fn run_through(&self, outer: &[&str], home: &str, args: &[&str]) -> Ended {
        self.start_through(outer, home, args).end()
    }

    /// Starts a command, as the last arguments of another program that becomes it.
    pub fn start_through(&self, outer: &[&str], home: &str, args: &[&str]) -> Process {
        Process::start(through(outer, &self.command(home, args)))
    }

    /// Runs a command to its end.
    pub fn run(&self, home: &str, args: &[&str]) -> Ended {
        Process::start(self.command(home, args)).end()
    }

    /// A home in the swarm of the home `like`.
    pub fn member(&self, home: &str, like: &str) {
        let genesis = self.path(like).join("genesis.toml");
        self.run(home, &["swarm", "join", genesis.to_str().unwrap()])
            .expect(0);
    }

    /// A code that the running peer of `home` gives.
    pub fn invite(&self, home: &str, args: &[&str]) -> String {
        let all = [&["swarm", "invite", "--json"], args].concat();
        let code = self.run(home, &all).expect(0).json()["code"].clone();
        code.as_str().unwrap().to_owned()
    }

    /// The home `home` joins by a code of the home `issuer`, under `name`; the code.
    pub fn joins(&self, home: &str, issuer: &str, name: &str) -> String {
        let code = self.invite(issuer, &[]);
        self.run(home, &["swarm", "join", &code, "--name", name])
            .expect(0);
        code
    }

    /// `up` in the home `name`, from the moment on that it can be dialled.
    pub fn up(&self, home: &str, args: &[&str]) -> Up {
        self.up_through(&[], home, args)
    }

    /// The same, as the last arguments of another program that becomes it.
    pub fn up_through(&self, outer: &[&str], home: &str, args: &[&str]) -> Up {
        let all = [&["up", "--events", "--device", "cpu"], args].concat();
        Up::started(self.start_through(outer, home, &all))
    }
}

/// `inner` as the last arguments of the program `outer`, if one is given.
fn through(outer: &[&str], inner: &Command) -> Command {
    let Some((program, args)) = outer.split_first() else {
        let mut same = Command::new(inner.get_program());
        copy(inner, &mut same);
        return same;
    };
    let mut command = Command::new(program);
    command.args(args).arg(inner.get_program());
    copy(inner, &mut command);
    command
}

fn copy(from: &Command, to: &mut Command) {
    to.args(from.get_args()).stdin(Stdio::null());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    if let Some(dir) = from.get_current_dir() {
        to.current_dir(dir);
    }
}

/// A running peer.
pub struct Up {
    pub process: Process,
    pub address: String,
}

impl Up {
    /// A process of `up`, from the moment on that it can be dialled by TCP.
    pub fn started(mut process: Process) -> Self {
        let tcp = |v: &Value| {
            v["happening"] == "listening" && v["address"].as_str().unwrap().contains("/tcp/")
        };
        let address = process.until(tcp)["address"].as_str().unwrap().to_owned();
        Self { process, address }
    }
}

/// A process of these tests, in a process group of its own.
pub struct Process {
    child: Child,
    pub stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: String,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
            seen: String::new(),
            stderr: Some(stderr),
        }
    }

    /// Reads events until one fits.
    #[track_caller]
    pub fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + BOUND;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                // A process that has ended has also said why.
                let ended = self.is_over().then(|| self.stderr.take()).flatten();
                let said = ended.and_then(|text| text.join().ok()).unwrap_or_default();
                panic!("the event did not come; seen: {}{said}", self.seen)
            };
            self.seen += &line;
            self.seen.push('\n');
            if let Ok(value) = serde_json::from_str(&line)
                && fits(&value)
            {
                return value;
            }
        }
    }

    /// Waits until the process catches `signal` rather than dying of it.
    pub fn until_it_catches(&self, signal: Signal) {
        let end = Instant::now() + BOUND;
        let bit = 1_u64 << (signal.as_raw() - 1);
        let caught = || -> Option<u64> {
            let status =
                std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
            let mask = status.lines().find_map(|l| l.strip_prefix("SigCgt:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        };
        while caught().is_none_or(|mask| mask & bit == 0) {
            assert!(Instant::now() < end, "the signal is never caught");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end, with everything that was said. No process of the group may be left.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let end = Instant::now() + BOUND;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < end,
                "the process does not end; seen: {}",
                self.seen
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let stderr = self.stderr.take().unwrap().join().unwrap();
        let mut stdout = std::mem::take(&mut self.seen);
        stdout.extend(self.lines.iter().map(|line| line + "\n"));
        // Device processes see their parent's end by their stdin; that takes a moment.
        while test_kill_process_group(self.pid()).is_ok() {
            assert!(Instant::now() < end, "a process was left behind");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Bytes of a file.
#[track_caller]
pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
