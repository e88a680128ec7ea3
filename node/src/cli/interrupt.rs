//! Ctrl-C and SIGTERM, once for all commands that run for a while.
//!
//! The first signal asks the command to end; a second Ctrl-C ends the process at once. Invariant: from the moment a
//! command starts, no signal kills it half-way with the wrong exit code.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

use super::exit::{Exit, Failure, Outcome};

/// How long blocking work of an ended command may hold up the exit.
const LINGER: Duration = Duration::from_millis(200);

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, as service managers send it.
    Terminate,
}

/// Tells when it is time to end; clones share it.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<Option<Signal>>);

impl Interrupt {
    /// Waits for the first signal; for ever if none comes.
    pub async fn signalled(&self) -> Signal {
        let mut receiver = self.0.clone();
        let signal = receiver
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|s| *s);
        match signal {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        self.0.borrow().is_some()
    }
}

/// Runs an asynchronous command with signals caught.
pub fn block_on<F: Future<Output = Outcome>>(command: impl FnOnce(Interrupt) -> F) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|e| Failure::of(format!("cannot start threads: {e}; close other programs")))?;
    let outcome = runtime.block_on(async { command(install()?).await });
    runtime.shutdown_timeout(LINGER);
    outcome
}

fn install() -> Result<Interrupt, Failure> {
    let (sender, receiver) = watch::channel(None);
    let fail = |e: std::io::Error| Failure::of(format!("cannot listen for Ctrl-C: {e}"));
    let mut next = signals().map_err(fail)?;
    tokio::spawn(async move {
        while let Some(signal) = next.recv().await {
            if sender.borrow().is_some() && signal == Signal::Interrupt {
                std::process::exit(Exit::Interrupted as i32);
            }
            sender.send_if_modified(|first| first.is_none() && first.replace(signal).is_none());
        }
    });
    Ok(Interrupt(receiver))
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
fn signals() -> std::io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    })
}

#[cfg(unix)]
impl Signals {
    async fn recv(&mut self) -> Option<Signal> {
        tokio::select! {
            some = self.interrupt.recv() => some.map(|()| Signal::Interrupt),
            some = self.terminate.recv() => some.map(|()| Signal::Terminate),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
fn signals() -> std::io::Result<Signals> {
    Ok(Signals)
}

#[cfg(not(unix))]
impl Signals {
    async fn recv(&mut self) -> Option<Signal> {
        tokio::signal::ctrl_c()
            .await
            .ok()
            .map(|()| Signal::Interrupt)
    }
}
