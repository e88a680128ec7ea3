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

/// What a peer computes with: the device that it lends and its CPU reference, and for each task under way a `T`.
pub struct Devices<T> {
    lent: Device,
    reference: Device,
    tasks: BTreeMap<TaskId, T>,
    /// When the next look at them is scheduled for.
    look: Option<Time>,
}

impl<T> Devices<T> {
    /// Both idle; speeds in work units per second.
    #[must_use]
    pub fn new(lent_units_per_s: u64, reference_units_per_s: u64) -> Self {
        Self {
            lent: Device::new(lent_units_per_s),
            reference: Device::new(reference_units_per_s),
            tasks: BTreeMap::new(),
            look: None,
        }
    }

    /// Tasks under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.tasks.len()
    }

    /// Queues a task of `units` work units on the device that its purpose asks for.
    pub fn push(&mut self, now: Time, id: TaskId, purpose: Purpose, units: u64, task: T) {
        let device = match purpose {
            Purpose::Work | Purpose::Audit | Purpose::Own => &mut self.lent,
            Purpose::SelfCheck | Purpose::Judge => &mut self.reference,
        };
        device.push(now, id, purpose, units);
        self.tasks.insert(id, task);
    }

    /// Takes a task back, if it is under way.
    pub fn abort(&mut self, now: Time, id: TaskId) {
        if self.tasks.remove(&id).is_some() {
            self.lent.abort(now, id);
            self.reference.abort(now, id);
        }
    }

    /// A task that is finished.
    pub fn finish(&mut self, now: Time) -> Option<(TaskId, T)> {
        let id = self
            .lent
            .finish(now)
            .or_else(|| self.reference.finish(now))?;
        Some((id, self.tasks.remove(&id)?))
    }

    /// When to look at them, if no look is scheduled for just then: one at a time, for every look leads to the next.
    pub fn next_look(&mut self) -> Option<Time> {
        let due = [self.lent.due(), self.reference.due()];
        let due = due.into_iter().flatten().min();
        let changed = self.look != due;
        self.look = due;
        due.filter(|_| changed)
    }

    /// Whether this look is the one that is scheduled; then it is over.
    pub fn looked(&mut self, now: Time) -> bool {
        let wanted = self.look == Some(now);
        self.look = self.look.filter(|_| !wanted);
        wanted
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
