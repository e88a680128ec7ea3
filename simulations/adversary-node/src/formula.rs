//! How often a slice with faked tiles ought to be refuted, and how far chance may carry a count from that.
//!
//! The simulator's formula (`simulations/src/validate/detection.rs`) for a swarm in which every auditor is honest: each
//! draws distinct tiles, two may draw the same one, and a slice without a faked tile is no trial. The requester computes
//! two tiles of its own draw (ringers) whatever the auditors say; where no quorum forms it recomputes all that was opened,
//! its own draw among it.

/// What a requester draws for itself, in case that it must check.
const OWN_DRAW: u32 = 32;

/// Of these, those that it computes anyway.
const RINGERS: u32 = 2;

/// One trial's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Tiles of the slice.
    pub tiles: u32,
    /// Auditors.
    pub k: u32,
    /// Tiles of each.
    pub s: u32,
    /// Whether the requester recomputed for want of a quorum.
    pub own: bool,
}

impl Rules {
    /// That a slice of which this share is faked, each tile for itself, is refuted if any is.
    pub fn detected(&self, faked: f64) -> f64 {
        let none_faked = (1.0 - faked).powi(self.tiles.min(i32::MAX as u32) as i32);
        if none_faked >= 1.0 {
            return 0.0;
        }
        (1.0 - self.all_miss(faked)) / (1.0 - none_faked)
    }

    /// That nobody's draw has a faked tile: the mean of (1 - q)^(distinct tiles drawn), tile by tile.
    fn all_miss(&self, faked: f64) -> f64 {
        // of[u]: the probability that u distinct tiles were drawn so far.
        let mut of = vec![1.0];
        for _ in 0..self.k {
            of = self.draws(&of, self.s);
        }
        of = self.draws(&of, if self.own { OWN_DRAW } else { RINGERS });
        let miss = |(distinct, p): (usize, &f64)| p * (1.0 - faked).powi(distinct as i32);
        of.iter().enumerate().map(miss).sum()
    }

    /// After one more draws `s` distinct tiles: of those that it has not drawn yet, some were seen by others.
    fn draws(&self, before: &[f64], s: u32) -> Vec<f64> {
        let s = s.min(self.tiles) as usize;
        let mut after = vec![0.0; before.len() + s];
        for (seen, p) in before.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            // fresh[f]: that f of its tiles so far were new.
            let mut fresh = vec![1.0];
            for drawn in 0..s {
                let left = f64::from(self.tiles) - drawn as f64;
                let mut next = vec![0.0; fresh.len() + 1];
                for (new, p) in fresh.iter().enumerate() {
                    let unseen = (f64::from(self.tiles) - (seen + new) as f64).max(0.0) / left;
                    next[new + 1] += p * unseen;
                    next[new] += p * (1.0 - unseen);
                }
                fresh = next;
            }
            for (new, share) in fresh.iter().enumerate() {
                after[seen + new] += p * share;
            }
        }
        after
    }
}

/// The 95 % interval of a share by Wilson's score, whose error stays small near 0 and 1 (Brown, Cai and DasGupta,
/// 2001).
pub fn wilson(hits: u32, trials: u32) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (f64::from(trials), f64::from(hits) / f64::from(trials));
    let (centre, scale) = (share + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    (
        ((centre - half) / scale).max(0.0),
        ((centre + half) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(k: u32, s: u32) -> Rules {
        Rules {
            tiles: 512,
            k,
            s,
            own: false,
        }
    }

    #[test]
    fn it_is_nearly_the_designs_formula() {
        for (k, s) in [(16, 2), (8, 4), (1, 32)] {
            for faked in [0.01_f64, 0.1, 0.5, 1.0] {
                let simple = 1.0 - (1.0 - faked).powi(34);
                let any = 1.0 - (1.0 - faked).powi(512);
                let off = rules(k, s).detected(faked) - simple / any;
                assert!((-0.01..=1e-9).contains(&off), "{k} {s} {faked}: {off}");
            }
        }
        assert_eq!(rules(16, 2).detected(0.0), 0.0);
    }

    #[test]
    fn one_auditor_of_all_tiles_misses_nothing_and_an_own_draw_helps() {
        let all = Rules {
            tiles: 64,
            ..rules(1, 64)
        };
        assert!((all.detected(0.01) - 1.0).abs() < 1e-12);
        let own = Rules {
            own: true,
            ..rules(8, 4)
        };
        assert!(own.detected(0.01) > rules(8, 4).detected(0.01) + 0.1);
    }

    #[test]
    fn wilsons_interval_is_the_books() {
        // 8 of 10: 0.4902 to 0.9433, as R's prop.test without its correction has it.
        let (low, high) = wilson(8, 10);
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(400, 400).0 > 0.99);
    }
}
