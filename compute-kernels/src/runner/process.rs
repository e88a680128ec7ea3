//! A device process as seen from its parent: started on demand, killed at a deadline or a moment after whoever asked has
//! given up, started again when the next job comes.
//!
//! It is not the process itself (`child.rs`) and decides nothing about jobs.
//! Invariant: every call returns by its deadline; a child that does not answer in time is dead when the call returns.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::admission::json;
use super::frame::{self, Request, Response};
use super::gpu::BareJob;
use super::patience::{Deadline, GRACE};
use super::{AdapterChoice, DeviceInfo, Engine, Patience, RunnerError, check_run};
use crate::kernel::{JobSpec, Shape};

/// Last bytes of a child's stderr that its obituary quotes.
const STDERR_TAIL_BYTES: usize = 2048;
/// How long a broken connection waits for them.
const OBITUARY_WAIT: Duration = Duration::from_secs(1);
/// How often a wait that somebody may end is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How to start a device process: an executable that calls [`super::child::serve`] when given these arguments.
#[derive(Clone, Debug)]
pub struct RunnerCommand {
    /// Usually the node's own executable.
    pub exe: PathBuf,
    /// Its hidden subcommand.
    pub args: Vec<OsString>,
}

/// What makes a device process give up all that a shader's driver does not need, before it does anything else.
pub(super) const CONFINED: &str = "--confined";

impl RunnerCommand {
    /// The same, confined: see [`super::sandbox`].
    #[must_use]
    pub fn confined(&self) -> Self {
        let mut confined = self.clone();
        confined.args.push(CONFINED.into());
        confined
    }

    /// Lists the adapters of this machine, software ones too, in a child: drivers crash during enumeration as well.
    pub fn adapters(&self, deadline: Duration) -> Result<Vec<DeviceInfo>, RunnerError> {
        match self.ask(Request::Adapters, Vec::new(), deadline)? {
            (Response::Adapters(adapters), _) => Ok(adapters),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// One question to a fresh process.
    pub(super) fn ask(
        &self,
        request: Request,
        parts: Vec<Arc<[u8]>>,
        deadline: Duration,
    ) -> Result<(Response, Vec<u8>), RunnerError> {
        let mut connection = Connection::start(self)?;
        let (response, mut parts) = connection.call(request, parts, Deadline::after(deadline))?;
        Ok((response, parts.pop().unwrap_or_default()))
    }
}

/// A GPU, held by a child process that is started, killed and started again as needed.
pub struct GpuProcess {
    command: RunnerCommand,
    engine: Engine,
    info: DeviceInfo,
    connection: Option<Connection>,
    /// The current job, and whether the running child knows it.
    job: Option<(JobSpec, Shape)>,
    loaded: bool,
    last_used: Instant,
    /// See [`Response::Computed`].
    burnt: Option<u32>,
}

impl GpuProcess {
    /// Starts a child and opens the chosen adapter in it.
    pub fn spawn(
        command: RunnerCommand,
        choice: AdapterChoice,
        deadline: Duration,
    ) -> Result<Self, RunnerError> {
        Self::spawn_engine(command, Engine::Adapter(choice), deadline.into())
    }

    /// The same for anything that a device process can hold.
    pub(super) fn spawn_engine(
        command: RunnerCommand,
        engine: Engine,
        patience: Patience<'_>,
    ) -> Result<Self, RunnerError> {
        let (connection, info) = open(&command, engine, Deadline::after(patience))?;
        Ok(GpuProcess {
            command,
            engine,
            info,
            connection: Some(connection),
            job: None,
            loaded: false,
            last_used: Instant::now(),
            burnt: None,
        })
    }

    /// See [`super::Runner::load`]. A job that is loaded already costs nothing.
    pub fn load<'a>(
        &mut self,
        job: &JobSpec,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Shape, RunnerError> {
        if let Some((current, shape)) = &self.job
            && current == job
        {
            return Ok(*shape);
        }
        self.job = None;
        self.loaded = false;
        let result = self.send_job(job, Deadline::after(patience));
        self.last_used = Instant::now();
        let shape = result?;
        self.job = Some((job.clone(), shape));
        Ok(shape)
    }

    /// See [`super::Runner::run`]. After a crash or a stop the job is loaded again, within the same patience.
    pub fn run<'a>(
        &mut self,
        tiles: &[u32],
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        let bytes = self.run_by(Request::Run, tiles, Deadline::after(patience))?;
        self.check(bytes, |done| done == tiles.len())
    }

    /// See [`super::Runner::run_for`], and [`GpuProcess::run`].
    pub fn run_for<'a>(
        &mut self,
        tiles: &[u32],
        span: Duration,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        let span_ms = span.as_millis() as u64;
        let deadline = Deadline::after(patience);
        let bytes = self.run_by(Request::RunFor(span_ms), tiles, deadline)?;
        let least = tiles.len().min(1);
        self.check(bytes, |done| (least..=tiles.len()).contains(&done))
    }

    /// Bytes of whole tiles, and of as many as `fits`.
    fn check(
        &mut self,
        bytes: Vec<u8>,
        fits: impl Fn(usize) -> bool,
    ) -> Result<Vec<u8>, RunnerError> {
        let (_, shape) = self.job.as_ref().ok_or(RunnerError::NotLoaded)?;
        let tile_bytes = (shape.tile_bytes as usize).max(1);
        if bytes.len().is_multiple_of(tile_bytes) && fits(bytes.len() / tile_bytes) {
            return Ok(bytes);
        }
        self.stop();
        Err(RunnerError::Lost(
            "it returned another number of bytes".into(),
        ))
    }

    /// Times a shader of one's own as it is, without anything around it: its first output, and seconds.
    pub fn bare(
        &mut self,
        job: &JobSpec,
        deadline: Duration,
    ) -> Result<(Vec<u8>, f64), RunnerError> {
        let bound = json(&BareJob::of(job)?)?;
        let parts = [bound.into()].into_iter().chain(job.inputs.iter().cloned());
        match self.call(Request::Bare, parts.collect(), Deadline::after(deadline))? {
            (Response::Timed { seconds }, mut parts) => {
                Ok((parts.pop().unwrap_or_default(), seconds))
            }
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// The most that the loops of one invocation have burnt, by the last run, where that is known.
    pub fn burnt(&self) -> Option<u32> {
        self.burnt
    }

    /// The open adapter.
    pub fn describe(&self) -> &DeviceInfo {
        &self.info
    }

    /// When the last call ended. The caller stops a device that idles for long.
    pub fn idle_since(&self) -> Instant {
        self.last_used
    }

    /// The child's process id, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.connection.as_ref().map(|c| c.pid)
    }

    /// Ends the child and frees the device. The next call starts it again.
    pub fn stop(&mut self) {
        self.connection = None;
        self.loaded = false;
    }

    fn run_by(
        &mut self,
        request: Request,
        tiles: &[u32],
        deadline: Deadline<'_>,
    ) -> Result<Vec<u8>, RunnerError> {
        let (job, shape) = self.job.clone().ok_or(RunnerError::NotLoaded)?;
        check_run(&shape, tiles)?;
        let result = self.ask_tiles(&job, request, tiles, deadline);
        self.last_used = Instant::now();
        result
    }

    fn ask_tiles(
        &mut self,
        job: &JobSpec,
        request: Request,
        tiles: &[u32],
        deadline: Deadline<'_>,
    ) -> Result<Vec<u8>, RunnerError> {
        if self.connection.is_none() || !self.loaded {
            self.send_job(job, deadline)?;
        }
        let list: Vec<u8> = tiles.iter().flat_map(|t| t.to_le_bytes()).collect();
        let result = self.call(request, vec![list.into()], deadline);
        // After an error of its device a child holds no job.
        self.loaded &= result.is_ok();
        match result? {
            (Response::Computed { burnt }, mut parts) => {
                self.burnt = burnt;
                Ok(parts.pop().unwrap_or_default())
            }
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    fn send_job(&mut self, job: &JobSpec, deadline: Deadline<'_>) -> Result<Shape, RunnerError> {
        // A cheap look here keeps malformed jobs from travelling through the pipe.
        job.kernel()?;
        let params = Arc::from(job.params.as_slice());
        let parts = [params].into_iter().chain(job.inputs.iter().cloned());
        match self.call(Request::Load(job.kernel), parts.collect(), deadline)? {
            (Response::Loaded(shape), _) => {
                self.loaded = true;
                Ok(shape)
            }
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// One exchange with a running child, started if need be. Any failure of the child itself ends it.
    fn call(
        &mut self,
        request: Request,
        parts: Vec<Arc<[u8]>>,
        deadline: Deadline<'_>,
    ) -> Result<Answer, RunnerError> {
        if deadline.patience.is_stopped() {
            return Err(RunnerError::Aborted);
        }
        if self.connection.is_none() {
            self.loaded = false;
            let (connection, info) = open(&self.command, self.engine, deadline)?;
            if info != self.info {
                return Err(RunnerError::Device(format!(
                    "{} is gone, {} answers in its place: restart to use it",
                    self.info.name, info.name
                )));
            }
            self.connection = Some(connection);
        }
        let Some(connection) = &mut self.connection else {
            return Err(RunnerError::NotLoaded);
        };
        let result = connection.call(request, parts, deadline);
        use RunnerError::{Aborted, Deadline as Late, Lost};
        if let Err(Lost(_) | Late { .. } | Aborted) = result {
            self.stop();
        }
        result
    }

    fn unexpected(&mut self, response: &Response) -> RunnerError {
        self.stop();
        unexpected(response)
    }
}

fn open(
    command: &RunnerCommand,
    engine: Engine,
    deadline: Deadline<'_>,
) -> Result<(Connection, DeviceInfo), RunnerError> {
    let mut connection = Connection::start(command)?;
    match connection.call(Request::Open(engine), Vec::new(), deadline)? {
        (Response::Opened(info), _) => Ok((connection, info)),
        (other, _) => Err(unexpected(&other)),
    }
}

pub(super) fn unexpected(response: &Response) -> RunnerError {
    RunnerError::Lost(format!("its process answered out of turn: {response:?}"))
}

type Exchange = (Request, Vec<Arc<[u8]>>);
type Answer = (Response, Vec<Vec<u8>>);

/// A running child. Dropping it kills the child.
///
/// A thread of its own owns the pipes, so that a child that neither answers nor dies (a driver stuck in the
/// system's kernel) holds up that thread and not the caller.
struct Connection {
    pid: u32,
    child: Option<Child>,
    requests: SyncSender<Exchange>,
    answers: Receiver<io::Result<Answer>>,
    last_words: Receiver<String>,
}

impl Connection {
    fn start(command: &RunnerCommand) -> Result<Self, RunnerError> {
        let failed = |reason: String| RunnerError::Spawn {
            exe: command.exe.display().to_string(),
            reason,
        };
        let mut child = Command::new(&command.exe)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed("its pipes are missing".into()));
        };
        let (requests, to_send) = sync_channel(1);
        let (received, answers) = sync_channel(1);
        std::thread::spawn(move || exchange(stdin, BufReader::new(stdout), &to_send, &received));
        let (said, last_words) = sync_channel(1);
        // Nobody may be there to listen any more.
        std::thread::spawn(move || drop(said.send(tail(stderr))));
        Ok(Connection {
            pid: child.id(),
            child: Some(child),
            requests,
            answers,
            last_words,
        })
    }

    /// Sends a request and waits for its answer until the deadline. After a failure the connection is of no use.
    fn call(
        &mut self,
        request: Request,
        parts: Vec<Arc<[u8]>>,
        deadline: Deadline<'_>,
    ) -> Result<Answer, RunnerError> {
        if self.requests.try_send((request, parts)).is_err() {
            return Err(RunnerError::Lost(self.obituary("its pipe is closed")));
        }
        match self.wait(deadline)? {
            Ok((Response::Failed(error), _)) => Err(error),
            Ok(answer) => Ok(answer),
            Err(error) => Err(RunnerError::Lost(self.obituary(&error.to_string()))),
        }
    }

    /// The answer, unless the deadline comes first, or the end of the grace for what nobody wants any more.
    fn wait(&mut self, deadline: Deadline<'_>) -> Result<io::Result<Answer>, RunnerError> {
        let patience = deadline.patience;
        let mut graced = None;
        loop {
            let now = Instant::now();
            if patience.is_stopped() {
                graced.get_or_insert(now + GRACE);
            }
            let until = graced.unwrap_or(deadline.at).min(deadline.at);
            let mut left = until.saturating_duration_since(now);
            if patience.can_stop() && graced.is_none() {
                left = left.min(LOOK);
            }
            match self.answers.recv_timeout(left) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(RunnerError::Lost(self.obituary("its pipe is closed")));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(RecvTimeoutError::Timeout) if graced.is_some() => {
                    return Err(RunnerError::Aborted);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let limit_ms = patience.limit().as_millis() as u64;
                    return Err(RunnerError::Deadline { limit_ms });
                }
            }
        }
    }

    /// A child's pipes close a moment before its status can be had.
    fn exit_status(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let patience = Instant::now() + OBITUARY_WAIT;
        loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }

    /// How the child ended, and its last words. Both come at once after a crash.
    fn obituary(&mut self, fault: &str) -> String {
        let said = self.last_words.recv_timeout(OBITUARY_WAIT);
        let ended = match self.exit_status() {
            Some(status) => format!("its process ended ({status})"),
            None => format!("its process broke off ({fault})"),
        };
        match said.as_deref().map(str::trim) {
            Ok(said) if !said.is_empty() => format!("{ended}: {said}"),
            _ => ended,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Failure means that it is dead already, which is what was wanted.
            let _ = child.kill();
            // Reaped aside: a process stuck in a driver dies late.
            std::thread::spawn(move || child.wait());
        }
    }
}

/// Writes requests and reads their answers until either side is gone.
fn exchange(
    mut stdin: ChildStdin,
    mut stdout: BufReader<ChildStdout>,
    requests: &Receiver<Exchange>,
    answers: &SyncSender<io::Result<Answer>>,
) {
    while let Ok((request, parts)) = requests.recv() {
        let parts: Vec<&[u8]> = parts.iter().map(|p| &**p).collect();
        let answer =
            frame::write(&mut stdin, &request, &parts).and_then(|()| frame::read(&mut stdout));
        let failed = answer.is_err();
        if answers.send(answer).is_err() || failed {
            return;
        }
    }
}

/// Drains a pipe to its end and keeps the last bytes.
fn tail(mut from: impl Read) -> String {
    let mut kept = VecDeque::new();
    let mut chunk = [0; 512];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        kept.extend(&chunk[..n]);
        let excess = kept.len().saturating_sub(STDERR_TAIL_BYTES);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}
