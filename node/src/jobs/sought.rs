//! Jobs that are looked for in the swarm, and who waits for them: so many at most, and none that has gone away.

use std::collections::BTreeMap;

use starling_protocol::JobId;
use tokio::sync::oneshot;

/// Waiting ones, of all jobs together.
const WAITING_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Sought(BTreeMap<JobId, Vec<oneshot::Sender<bool>>>);

impl Sought {
    /// Waits for a job; none if too many do.
    pub(super) fn wait(&mut self, job: JobId) -> Option<oneshot::Receiver<bool>> {
        self.0.retain(|_, waiting| {
            waiting.retain(|one| !one.is_closed());
            !waiting.is_empty()
        });
        let waiting: usize = self.0.values().map(Vec::len).sum();
        (waiting < WAITING_MAX).then(|| {
            let (found, answer) = oneshot::channel();
            self.0.entry(job).or_default().push(found);
            answer
        })
    }

    /// It was found, or nobody has it.
    pub(super) fn ends(&mut self, job: &JobId, found: bool) {
        for waiting in self.0.remove(job).into_iter().flatten() {
            // Whoever asked may be gone.
            let _ = waiting.send(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_protocol::Hash;

    fn job(n: usize) -> JobId {
        JobId(Hash::of(&n.to_le_bytes()))
    }

    #[test]
    fn so_many_wait_at_most_and_those_that_went_away_make_room() {
        let mut sought = Sought::default();
        let mut waiting: Vec<_> = (0..WAITING_MAX)
            .map(|n| sought.wait(job(n / 2)).expect("room"))
            .collect();
        assert!(sought.wait(job(0)).is_none());
        sought.ends(&job(0), true);
        assert_eq!(waiting[0].try_recv(), Ok(true));
        assert_eq!(waiting[1].try_recv(), Ok(true));
        let late = [sought.wait(job(0)), sought.wait(job(1))];
        assert!(late.iter().all(Option::is_some) && sought.wait(job(1)).is_none());
        waiting.clear();
        let again = (0..WAITING_MAX - 2).map(|n| sought.wait(job(n)));
        assert_eq!(
            again.collect::<Vec<_>>().iter().flatten().count(),
            WAITING_MAX - 2
        );
    }
}
