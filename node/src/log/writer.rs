//! Group commit: one thread that turns whatever is queued into one write and one fdatasync.
//!
//! The driver appends without waiting for the disk and holds back what must not leave before a record
//! is durable, by number. A slow disk fills the queue, and a full queue makes `append` wait: memory stays
//! bounded by `queue` records. Invariant: a number reported as durable is on disk.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};

use super::{Log, LogError, MAX_RECORD};

/// How far the log has come.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The highest durable number; everything up to it is durable too.
    pub durable: u64,
    /// Why the log stopped. Nothing above `durable` will ever become durable; stop signing.
    pub failed: Option<Arc<LogError>>,
}

/// The driver's end of a log that lives on its own thread.
#[derive(Debug)]
pub struct LogWriter {
    queue: mpsc::Sender<Vec<u8>>,
    next_seq: u64,
    progress: watch::Receiver<Progress>,
    thread: JoinHandle<()>,
}

impl LogWriter {
    /// Moves the log to a thread. `queue` bounds the records that wait (at least 1).
    pub fn spawn(mut log: Log, queue: usize) -> Result<Self, LogError> {
        log.sync()?;
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let (report, progress) = watch::channel(Progress {
            durable: log.durable_seq(),
            failed: None,
        });
        let next_seq = log.last_seq() + 1;
        let path = log.path.clone();
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || run(log, receiver, &report))
            .map_err(crate::home::DiskError::on("start the writer of", &path))?;
        Ok(Self {
            queue: sender,
            next_seq,
            progress,
            thread,
        })
    }

    /// Queues a record of 1 to [`MAX_RECORD`] bytes and returns its number, which is durable once
    /// [`Progress`] says so. Waits while the queue is full; dropping the future queues nothing.
    pub async fn append(&mut self, record: Vec<u8>) -> Result<u64, LogError> {
        if record.is_empty() || record.len() > MAX_RECORD {
            return Err(LogError::RecordSize(record.len()));
        }
        let Ok(place) = self.queue.reserve().await else {
            return Err(self.reason());
        };
        place.send(record);
        let seq = self.next_seq;
        self.next_seq += 1;
        Ok(seq)
    }

    /// A view of the progress that can be awaited with `changed`.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until a record is durable, or for the error that prevents it.
    pub async fn durable(&self, seq: u64) -> Result<(), LogError> {
        let mut progress = self.progress.clone();
        // The thread drops its end when it ends; the last report stays readable.
        let reached = progress
            .wait_for(|p| p.durable >= seq || p.failed.is_some())
            .await;
        match reached {
            Ok(p) if p.durable >= seq => Ok(()),
            Ok(_) | Err(_) => Err(self.reason()),
        }
    }

    /// Makes everything queued durable and ends the thread. Blocks for as long as that takes.
    pub fn close(self) -> Result<u64, LogError> {
        let Self {
            queue,
            progress,
            thread,
            ..
        } = self;
        drop(queue);
        let joined = thread.join();
        let last = progress.borrow().clone();
        match (joined, last.failed) {
            (Ok(()), None) => Ok(last.durable),
            (_, Some(error)) => Err(LogError::Stopped(error)),
            (Err(_), None) => Err(LogError::Closed),
        }
    }

    fn reason(&self) -> LogError {
        match &self.progress.borrow().failed {
            Some(error) => LogError::Stopped(error.clone()),
            None => LogError::Closed,
        }
    }
}

fn run(mut log: Log, mut queue: mpsc::Receiver<Vec<u8>>, report: &watch::Sender<Progress>) {
    // The channel's own capacity bounds a batch: whoever appends meanwhile waits for the next one.
    let batch = queue.max_capacity();
    let mut records = Vec::new();
    while queue.blocking_recv_many(&mut records, batch) > 0 {
        let synced = records
            .drain(..)
            .try_for_each(|record| log.append(&record).map(drop))
            .and_then(|()| log.sync());
        match synced {
            Ok(durable) => {
                report.send_modify(|p| p.durable = durable);
            }
            Err(error) => {
                let error = match error {
                    LogError::Stopped(inner) => inner,
                    other => Arc::new(other),
                };
                // Closed first: whoever has seen the failure can append no more.
                queue.close();
                report.send_modify(|p| p.failed = Some(error));
                return;
            }
        }
    }
}
