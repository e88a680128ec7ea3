//! A shader of this build's own, and jobs of it: what a peer that offers to run shaders measures itself by, and what
//! others measure it by.
//!
//! Nobody's secret is in it and nobody's malice, so it may be looked at and run in any process.

use std::sync::Arc;

use super::program::{Program, draft};
use super::spec::{MAX_FUEL, Per, Spec};
use super::survey::survey;
use crate::kernel::{JobSpec, Kernel as _, KernelError};
use crate::shader::Wgsl;

/// Its text.
pub const SHADER: &str = include_str!("ours.wgsl");
/// Workgroups of a tile.
const GROUPS: u32 = 4;
/// Operations of one round: what its loop burns.
const ROUND: u32 = 27;

/// A job of `tiles` tiles, each of about `units` operations and no more, unless the least that can be asked is more.
///
/// # Errors
/// None with up to 2^20 tiles.
pub fn job(tiles: u32, units: u64, seed: u32) -> Result<JobSpec, KernelError> {
    let bad = |reason: String| KernelError::Input { index: 0, reason };
    let found = survey(SHADER, None, &[]).map_err(|all| bad(format!("{all:?}")))?;
    let invocations = u64::from(GROUPS * found.workgroup[0]);
    let each = (units / invocations).saturating_sub(found.straight.into());
    // The turn that finds out that it was the last one costs as much as another.
    let turns = (each / u64::from(ROUND)).clamp(2, u64::from(MAX_FUEL / ROUND)) as u32;
    let rounds = turns - 1;
    let groups = tiles.saturating_mul(GROUPS);
    let mut spec = draft(&found, [groups, 1, 1], [GROUPS, 1, 1], turns * ROUND);
    for bound in &found.bindings {
        if bound.written {
            let extent = [groups.saturating_mul(found.workgroup[0]), 1, 1];
            spec.outputs.push(bound.output(Per::Invocation, extent, 1));
        } else {
            spec.inputs.push(bound.at);
        }
    }
    spec.check()?;
    let task: Vec<u8> = [seed, rounds]
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    let program = Program::build(spec, SHADER, &[task.len()]).map_err(|r| bad(r.to_string()))?;
    let digest = program.digest();
    let spec = Spec {
        program: digest,
        ..program.spec
    };
    Ok(JobSpec {
        kernel: Wgsl.id(),
        params: spec.encode(),
        inputs: vec![Arc::from(SHADER.as_bytes()), task.into()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its work is what is declared: fuel for the last round is there, and for none after it.
    #[test]
    fn it_burns_all_that_it_declares() {
        let words = |job: &JobSpec| {
            let prepared = job.prepare().expect("ours");
            let bytes = prepared.run(&[1]);
            let spec = Spec::decode(&job.params).expect("sound");
            assert_eq!(prepared.burnt(), Some(spec.fuel));
            bytes
        };
        let job = job(3, 1_000_000, 7).expect("sound");
        let shape = job.shape().expect("sound");
        assert_eq!(shape.tiles, 3);
        assert!(
            (950_000..=1_000_000).contains(&shape.units_per_tile),
            "{shape:?}"
        );

        let mixed = words(&job);
        let rounds = u32::from_le_bytes(job.inputs[1][4..].try_into().expect("a word"));
        let expected = |id: u32| {
            let (mut x, mut y) = (
                id ^ 7,
                id.wrapping_mul(747_796_405).wrapping_add(2_891_336_453),
            );
            for _ in 0..rounds {
                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                y = y.wrapping_mul(1_664_525).wrapping_add(x);
            }
            x ^ y
        };
        let all: Vec<u8> = (256..512)
            .flat_map(|id| expected(id).to_le_bytes())
            .collect();
        assert!(mixed == all);

        // Rounds for which there is no fuel change nothing.
        let with = |rounds: u32| {
            let mut more = job.clone();
            more.inputs[1] = [7, rounds].iter().flat_map(|w| w.to_le_bytes()).collect();
            words(&more)
        };
        assert!(with(rounds + 1) == with(rounds + 9));
    }

    #[test]
    fn only_its_own_text_runs_anywhere() {
        let ours = job(1, 1_000, 0).expect("sound");
        assert!(!ours.is_guest() && ours.prepare().is_ok());
        let mut theirs = ours.clone();
        theirs.inputs[0] = format!("{SHADER} ").as_bytes().into();
        assert!(theirs.is_guest() && theirs.shape().is_ok());
        assert!(matches!(theirs.prepare(), Err(KernelError::Guest)));
        let nothing = JobSpec {
            inputs: Vec::new(),
            ..ours
        };
        assert!(nothing.is_guest());
    }
}
