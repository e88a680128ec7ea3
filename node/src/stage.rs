//! Peers as processes, staged by a demo or an experiment: started in process groups of their own, read line by line,
//! and ended for certain.
//!
//! Invariant: a process goes with its [`Child`], and a peer that leaves when its stdin ends also goes when whoever
//! staged it is killed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

/// With these a peer lends whatever its machine does: what is staged must not depend on a battery or on whether the
/// terminal fills the screen.
pub const ALWAYS: [(&str, &str); 4] = [
    ("STARLING_LEND_BATTERY", "lend"),
    ("STARLING_LEND_FULL_SCREEN", "lend"),
    ("STARLING_LEND_TEMPERATURE_C", "0"),
    ("STARLING_LEND_MEMORY_PCT", "100"),
];

/// Something a process said.
#[derive(Debug)]
pub enum Line {
    /// One object of its stdout.
    Json {
        /// Which process.
        child: usize,
        /// The object.
        value: Value,
    },
    /// Its stdout has ended, and so has it.
    End {
        /// Which process.
        child: usize,
    },
}

/// A staged process.
pub struct Child {
    process: tokio::process::Child,
    /// Peers leave when this ends, also when the demo is killed.
    stdin: Option<ChildStdin>,
    /// Its stderr.
    pub log: PathBuf,
    code: Option<i32>,
}

impl Child {
    /// Starts `command` for a home; what it says arrives in `lines` under `index`, its stderr beside the home.
    ///
    /// # Errors
    /// The system's.
    pub fn spawn(
        index: usize,
        home: &Path,
        mut command: Command,
        lines: mpsc::Sender<Line>,
    ) -> io::Result<Self> {
        let log = home.with_extension("log");
        command.arg("--home").arg(home).kill_on_drop(true);
        command
            .envs(ALWAYS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?);
        // Ctrl-C is for whoever staged them, who then tells them to leave.
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn()?;
        let stdin = process.stdin.take();
        if let Some(stdout) = process.stdout.take() {
            tokio::spawn(async move {
                let mut reader = BufReader::new(stdout).lines();
                while let Ok(Some(text)) = reader.next_line().await {
                    if let Ok(value) = serde_json::from_str(&text)
                        && lines
                            .send(Line::Json {
                                child: index,
                                value,
                            })
                            .await
                            .is_err()
                    {
                        return;
                    }
                }
                let _ = lines.send(Line::End { child: index }).await;
            });
        }
        Ok(Self {
            process,
            stdin,
            log,
            code: None,
        })
    }

    /// Its process, while that runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Says a line to it; one that has ended hears nothing.
    ///
    /// # Errors
    /// The system's.
    pub async fn tell(&mut self, line: &str) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()).await,
            None => Ok(()),
        }
    }

    /// Whether its end was seen.
    pub fn ended(&self) -> bool {
        self.code.is_some()
    }

    /// Its exit code, once its output has ended.
    pub async fn exit_code(&mut self) -> Option<i32> {
        if self.code.is_none() {
            let waited = tokio::time::timeout(Duration::from_secs(5), self.process.wait()).await;
            self.code = waited
                .ok()
                .and_then(Result::ok)
                .map(|status| status.code().unwrap_or(-1));
        }
        self.code
    }

    /// Asks it to leave in its own time.
    pub fn ask_to_leave(&mut self) {
        self.stdin = None;
        #[cfg(unix)]
        if let Some(pid) = self.process.id().and_then(|p| i32::try_from(p).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            // It may have ended just now.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Ends it if it still runs.
    pub async fn end(&mut self) {
        if self.code.is_none() {
            let _ = self.process.start_kill();
            let status = self.process.wait().await;
            self.code = Some(status.ok().and_then(|s| s.code()).unwrap_or(-1));
        }
    }
}

/// How long processes that were asked to leave may take.
const LEAVE: Duration = Duration::from_secs(6);

/// All processes of one stage, and what they say.
pub struct Troupe {
    children: Vec<Child>,
    lines: mpsc::Sender<Line>,
    received: mpsc::Receiver<Line>,
}

impl Default for Troupe {
    fn default() -> Self {
        let (lines, received) = mpsc::channel(1024);
        Self {
            children: Vec::new(),
            lines,
            received,
        }
    }
}

impl Troupe {
    /// Starts a process as [`Child::spawn`] does; answers its index.
    ///
    /// # Errors
    /// The system's.
    pub fn spawn(&mut self, home: &Path, command: Command) -> io::Result<usize> {
        let index = self.children.len();
        let child = Child::spawn(index, home, command, self.lines.clone())?;
        self.children.push(child);
        Ok(index)
    }

    /// The next line of any of them. Cancel-safe.
    pub async fn next(&mut self) -> Line {
        match self.received.recv().await {
            Some(line) => line,
            // It holds a sender itself.
            None => std::future::pending().await,
        }
    }

    /// One of them.
    pub fn child(&mut self, index: usize) -> &mut Child {
        &mut self.children[index]
    }

    /// What one of them had to say to people, as a file.
    pub fn log(&self, index: usize) -> &Path {
        &self.children[index].log
    }

    /// Asks all to leave, hears their last words, and ends those that do not.
    pub async fn send_home(&mut self, mut hear: impl FnMut(&Line)) {
        self.children.iter_mut().for_each(Child::ask_to_leave);
        let until = tokio::time::Instant::now() + LEAVE;
        let mut running = self.children.iter().filter(|c| !c.ended()).count();
        while running > 0 {
            let Ok(line) = tokio::time::timeout_at(until, self.next()).await else {
                break;
            };
            hear(&line);
            if let Line::End { .. } = line {
                running -= 1;
            }
        }
        for child in &mut self.children {
            child.end().await;
        }
    }
}
