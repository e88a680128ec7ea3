//! What this peer computes for others now, and what it has earned today.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{Datelike as _, Local};
use serde::{Deserialize, Serialize};
use starling_protocol::{Event, JobId};
use utoipa::ToSchema;

use crate::driver::unix_s;

/// What was earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Earnings {
    /// Slices with a receipt.
    pub slices: u64,
    /// Tiles in them.
    pub tiles: u64,
    /// Work units in them: what others have verified.
    pub units: u64,
    /// What the device has drawn while a slice was under way, from its start to its receipt, whatever else it did
    /// meanwhile, joules; none without a sensor.
    pub joules: Option<f64>,
}

/// A slice that is being computed or audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Running {
    /// Of which job.
    #[schema(value_type = String)]
    pub job: JobId,
    /// Which.
    pub slice: u32,
    /// Since when, Unix seconds.
    pub since_s: u64,
}

/// It is told of every event of the lending peer.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Which day `today` is.
    day: i32,
    today: Earnings,
    running: BTreeMap<(JobId, u32), u64>,
}

impl Ledger {
    /// Something happened.
    pub fn take(&self, event: &Event) {
        match event {
            Event::Working { job, slice } => {
                self.lock().running.insert((*job, *slice), unix_s());
            }
            Event::Earned {
                job,
                slice,
                units,
                receipt,
            } => {
                let mut inner = self.lock();
                inner.running.remove(&(*job, *slice));
                inner.today.slices += 1;
                inner.today.units += units;
                inner.today.tiles += u64::from(receipt.commitment.body.tiles);
            }
            Event::Lost { job, slice, .. } => {
                self.lock().running.remove(&(*job, *slice));
            }
            _ => {}
        }
    }

    /// So much was drawn for so many seconds: it counts if a slice is under way.
    pub fn draw(&self, watts: f32, seconds: f64) {
        let mut inner = self.lock();
        if !inner.running.is_empty() {
            *inner.today.joules.get_or_insert(0.0) += f64::from(watts) * seconds;
        }
    }

    /// What was earned since midnight.
    pub fn today(&self) -> Earnings {
        self.lock().today
    }

    /// What is being computed or audited, by job.
    pub fn running(&self) -> Vec<Running> {
        let inner = self.lock();
        let running = |((job, slice), since_s): (&(JobId, u32), &u64)| Running {
            job: *job,
            slice: *slice,
            since_s: *since_s,
        };
        inner.running.iter().map(running).collect()
    }

    /// A new day begins with nothing.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let day = Local::now().num_days_from_ce();
        if inner.day != day {
            inner.day = day;
            inner.today = Earnings::default();
        }
        inner
    }
}
