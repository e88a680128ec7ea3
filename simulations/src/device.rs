//! A virtual device: one queue, a rate in work units per second, audits before work.
//!
//! Urgent work pre-empts what runs, as the real runner does between two dispatches. Nothing is computed here: the
//! device only says when something would be finished.

use core::time::Duration;
use starling_protocol::Time;
use starling_protocol::io::{Purpose, TaskId};
use std::collections::BTreeMap;

/// One of them.
#[derive(Debug)]
pub struct Device {
    units_per_s: u64,
    /// What waits, most urgent first; the first one runs. With each the time that it still needs.
    queue: BTreeMap<(u8, TaskId), Duration>,
    /// Up to when the first one's progress is counted.
    settled: Time,
}

/// Others wait for audits and judgements; nobody waits for a slice within its lease.
fn urgency(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Judge => 0,
        Purpose::Audit => 1,
        Purpose::SelfCheck => 2,
        Purpose::Work | Purpose::Own => 3,
    }
}

impl Device {
    /// An idle device.
    #[must_use]
    pub fn new(units_per_s: u64) -> Self {
        Self {
            units_per_s: units_per_s.max(1),
            queue: BTreeMap::new(),
            settled: Time::default(),
        }
    }

    /// Queues a task of `units` work units. Tasks of equal urgency run in the order of their ids, which ascend.
    pub fn push(&mut self, now: Time, task: TaskId, purpose: Purpose, units: u64) {
        self.settle(now);
        let micros = u128::from(units) * 1_000_000 / u128::from(self.units_per_s);
        let needs = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.queue.insert((urgency(purpose), task), needs);
    }

    /// Takes a task back.
    pub fn abort(&mut self, now: Time, task: TaskId) {
        self.settle(now);
        self.queue.retain(|(_, t), _| *t != task);
    }

    /// When the running task is finished, if nothing is queued before it.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.queue
            .values()
            .next()
            .map(|needs| self.settled.after(*needs))
    }

    /// The running task, if it is finished; the next one then runs.
    pub fn finish(&mut self, now: Time) -> Option<TaskId> {
        self.settle(now);
        let first = self
            .queue
            .first_entry()
            .filter(|first| first.get().is_zero())?;
        Some(first.remove_entry().0.1)
    }

    fn settle(&mut self, now: Time) {
        let passed = now.since(self.settled);
        self.settled = now;
        if let Some(mut first) = self.queue.first_entry() {
            let needs = first.get_mut();
            *needs = needs.saturating_sub(passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_pre_empts_work_and_work_loses_nothing() {
        let mut device = Device::new(1_000);
        device.push(Time(0), TaskId(1), Purpose::Work, 1_000);
        assert_eq!(device.due(), Some(Time(1_000_000)));
        device.push(Time(400_000), TaskId(2), Purpose::Audit, 100);
        assert_eq!(device.due(), Some(Time(500_000)));
        assert_eq!(device.finish(Time(500_000)), Some(TaskId(2)));
        assert_eq!(
            (device.finish(Time(500_000)), device.due()),
            (None, Some(Time(1_100_000)))
        );
        assert_eq!(device.finish(Time(1_100_000)), Some(TaskId(1)));
        assert_eq!(device.due(), None);
    }

    #[test]
    fn an_aborted_task_makes_room() {
        let mut device = Device::new(1_000);
        device.push(Time(0), TaskId(1), Purpose::Work, 1_000);
        device.push(Time(0), TaskId(2), Purpose::Work, 500);
        device.abort(Time(100_000), TaskId(1));
        assert_eq!(device.due(), Some(Time(600_000)));
    }
}
