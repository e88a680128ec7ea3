//! The demo's processes: started in process groups of their own, read line by line, and ended for certain.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

/// Something a process said.
#[derive(Debug)]
pub(super) enum Line {
    /// One object of its stdout.
    Json { child: usize, value: Value },
    /// Its stdout has ended, and so has it.
    End { child: usize },
}

/// A process of the demo.
pub(super) struct Child {
    process: tokio::process::Child,
    /// Peers leave when this ends, also when the demo is killed.
    stdin: Option<ChildStdin>,
    /// Its stderr.
    pub(super) log: PathBuf,
    code: Option<i32>,
}

impl Child {
    /// Starts this program with `args`; what it says arrives in `lines` under `index`.
    pub(super) fn spawn(
        index: usize,
        home: &Path,
        args: &[String],
        lines: mpsc::Sender<Line>,
    ) -> io::Result<Self> {
        let log = home.with_extension("log");
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(args)
            .arg("--home")
            .arg(home)
            .kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?);
        // Ctrl-C is for the demo, which then tells its peers to leave.
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

    /// Whether its end was seen.
    pub(super) fn ended(&self) -> bool {
        self.code.is_some()
    }

    /// Its exit code, once its output has ended.
    pub(super) async fn exit_code(&mut self) -> Option<i32> {
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
    pub(super) fn ask_to_leave(&mut self) {
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
    pub(super) async fn end(&mut self) {
        if self.code.is_none() {
            let _ = self.process.start_kill();
            let status = self.process.wait().await;
            self.code = Some(status.ok().and_then(|s| s.code()).unwrap_or(-1));
        }
    }
}
