//! Messages that came before the record of their job: kept for the moment that it takes to ask for the record.
//!
//! A slice's committee hears of a job when it is called, so in a large swarm this is the usual way, and many calls may
//! come at once. Bounded by bytes, because calls and requests differ in size; by time, because a record that does not
//! come soon does not come.

use crate::config;
use crate::hash::{JobId, PeerKey};
use crate::message::Message;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

#[derive(Default)]
pub(crate) struct Parked {
    jobs: BTreeMap<JobId, Lot>,
    bytes: usize,
}

struct Lot {
    since: Time,
    bytes: usize,
    messages: Vec<(PeerKey, Message)>,
}

impl Parked {
    /// Keeps a message if there is room. True if its sender should be asked for the record: at first, and now and then
    /// in case the request or the answer got lost.
    pub(crate) fn park(&mut self, now: Time, job: JobId, from: PeerKey, message: Message) -> bool {
        let len = message.to_bytes().len();
        let of_job = self.jobs.get(&job).map_or(0, |lot| lot.bytes);
        if of_job + len > config::PARKED_BYTES_PER_JOB || self.bytes + len > config::PARKED_BYTES {
            return false;
        }
        let lot = self.jobs.entry(job).or_insert(Lot {
            since: now,
            bytes: 0,
            messages: Vec::new(),
        });
        self.bytes += len;
        lot.bytes += len;
        lot.messages.push((from, message));
        lot.messages.len().is_power_of_two()
    }

    /// The messages of a job, in the order in which they came.
    pub(crate) fn take(&mut self, job: &JobId) -> Vec<(PeerKey, Message)> {
        let Some(lot) = self.jobs.remove(job) else {
            return Vec::new();
        };
        self.bytes -= lot.bytes;
        lot.messages
    }

    /// Forgets what has waited too long.
    pub(crate) fn sweep(&mut self, now: Time) {
        self.jobs
            .retain(|_, lot| now < lot.since.after(config::PARKED_WAIT));
        self.bytes = self.jobs.values().map(|lot| lot.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn ask(parked: &mut Parked, now: Time, job: u8) -> bool {
        let class = alloc::string::String::from("x").repeat(1_000);
        let message = Message::BoardQuery { class };
        parked.park(now, JobId::from([job; 32]), PeerKey::from([1; 32]), message)
    }

    #[test]
    fn a_message_outlives_a_sweep_that_comes_right_after_it() {
        let (mut parked, job) = (Parked::default(), JobId::from([7; 32]));
        let mut now = Time::default();
        assert!(ask(&mut parked, now, 7));
        now = now.after(config::PARKED_WAIT - Duration::from_millis(1));
        parked.sweep(now);
        assert!(ask(&mut parked, now, 7), "the second one asks again");
        assert!(!ask(&mut parked, now, 7), "the third does not");
        assert_eq!(parked.take(&job).len(), 3);
        assert_eq!(parked.bytes, 0);

        ask(&mut parked, now, 7);
        parked.sweep(now.after(config::PARKED_WAIT));
        assert_eq!((parked.take(&job).len(), parked.bytes), (0, 0));
    }

    #[test]
    fn room_is_bounded_in_all_and_for_each_job() {
        let mut parked = Parked::default();
        for job in 0..100 {
            for _ in 0..1_000 {
                ask(&mut parked, Time::default(), job);
            }
            let of_job = parked.jobs.get(&JobId::from([job; 32]));
            assert!(of_job.is_none_or(|lot| lot.bytes <= config::PARKED_BYTES_PER_JOB));
        }
        assert!(parked.bytes <= config::PARKED_BYTES);
        assert!(parked.bytes > config::PARKED_BYTES - 2_000);
    }
}
