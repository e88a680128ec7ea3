//! Shaders of strangers: looked at, rewritten, and run by the interpreter for a moment.

use starling_kernels::shader::program::{Program, draft};
use starling_kernels::shader::spec::{Per, Spec};
use starling_kernels::shader::survey::{Survey, survey};
use starling_kernels::shader::{Refusal, gallery, ours};

use crate::{Target, kind_of, outcome};

/// Texts.
pub const SHADER: Target = Target {
    name: "shader",
    about: "shaders as text: admission, rewriting, one tile by the interpreter",
    run: shader,
    seeds,
};

fn refused(step: u64, refusal: &Refusal) -> u64 {
    assert!(!refusal.reason.is_empty(), "a refusal says why");
    outcome(
        step,
        &format!("{} {}", refusal.code, kind_of(&refusal.reason)),
    )
}

fn shader(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let found = match survey(&text, None, &[]) {
        Ok(found) => found,
        Err(all) => return refused(0, all.first().expect("at least one reason")),
    };
    let (spec, inputs) = spec(&found);
    if spec.check().is_err() {
        return outcome(1, "the spec");
    }
    let sizes: Vec<usize> = inputs.iter().map(|i| i.len() * 4).collect();
    let program = match Program::build(spec, &text, &sizes) {
        Ok(program) => program,
        Err(refusal) => return refused(2, &refusal),
    };
    let mut out = vec![0; program.spec.shape().tile_bytes as usize / 4];
    match program.tile(0, &inputs, &mut out) {
        Ok(burnt) => outcome(3, &format!("{} {}", burnt > 0, found.bindings.len())),
        Err(fault) => outcome(4, &program.explain(&fault).code),
    }
}

/// One workgroup, a slot of one element for each invocation, and inputs that are long enough for most.
fn spec(found: &Survey) -> (Spec, Vec<Vec<u32>>) {
    let mut spec = draft(found, [1; 3], [1; 3], 500);
    let mut inputs = Vec::new();
    for bound in &found.bindings {
        if bound.written {
            spec.outputs
                .push(bound.output(Per::Invocation, found.workgroup, 1));
        } else {
            let words = bound.fixed_bytes / 4 + bound.stride / 4 * bound.len.unwrap_or(9);
            spec.inputs.push(bound.at);
            inputs.push(
                (0..words.min(1 << 16))
                    .map(|i| i.wrapping_mul(0x9e37_79b9))
                    .collect(),
            );
        }
    }
    (spec, inputs)
}

fn seeds() -> Vec<Vec<u8>> {
    let text = |e: &gallery::Example| e.text(&format!("{}.wgsl", e.name)).as_bytes().to_vec();
    let mut seeds: Vec<Vec<u8>> = gallery::ALL.iter().map(text).collect();
    seeds.push(ours::SHADER.as_bytes().to_vec());
    seeds
}
