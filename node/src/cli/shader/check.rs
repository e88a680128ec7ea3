//! `shader check`: what a shader is, what it costs, and every reason not to run it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use starling_kernels::Tier;
use starling_kernels::shader::survey::{MAX_SHARED_BYTES, Survey};

use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::run::refused;
use crate::cli::text;
use crate::compute::device_process;
use crate::product::ProductError;
use crate::product::shader::Plan;

/// Say what a shader is, what it costs, and every reason not to run it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling shader check blur.wgsl
  starling shader check job.toml --json

Of a job's file it also says how the job is cut and what a tile costs.
Exit codes: 0 peers would run it, 2 they would not.")]
pub struct Check {
    /// A shader, or a job's file.
    #[arg(value_name = "SHADER.wgsl|JOB.toml")]
    file: PathBuf,
    /// The entry point, if there are several.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Value of an `override` declaration; again for more.
    #[arg(long = "override", value_name = "NAME=VALUE", value_parser = assignment)]
    overrides: Vec<(String, f64)>,
}

/// `NAME=VALUE`.
pub(in crate::cli) fn assignment(text: &str) -> Result<(String, f64), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    parsed.ok_or_else(|| "write NAME=NUMBER".to_owned())
}

impl Check {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let command = device_process().map_err(Failure::of)?;
        let mut plan = Plan::open(&self.file).map_err(refused)?;
        plan.entry = self.entry.or(plan.entry);
        plan.overrides.extend(self.overrides);
        let survey = match plan.survey(&command) {
            Ok(survey) => survey,
            Err(ProductError::Refused { all, .. }) if context.console.json => {
                context
                    .console
                    .json(&json!({ "runs": false, "refusals": all }));
                return Ok(Exit::Usage);
            }
            Err(error) => return Err(refused(error)),
        };
        // Floats that are not canonical: nobody may compare them, so nobody takes the job.
        let runs = survey.tier != Tier::Tolerance;
        let mut shape = None;
        if runs && !plan.outputs.is_empty() {
            let (work, _) = plan.work(&command).map_err(refused)?;
            shape = Some(work.product.shape);
        }
        if context.console.json {
            context.console.json(&json!({
                "runs": runs,
                "survey": survey,
                "shape": shape,
                "refusals": survey.not_canonical,
            }));
        } else {
            show(context, &survey);
            if let Some(shape) = shape {
                context.console.data(format!(
                    "job:       {}, {} operations and {} bytes each",
                    text::count(shape.tiles as usize, "tile"),
                    text::si(shape.units_per_tile as f64),
                    shape.tile_bytes,
                ));
            }
        }
        if runs {
            return Ok(Exit::Ok);
        }
        if context.console.json {
            return Ok(Exit::Usage);
        }
        Err(super::refused(
            &plan.shader,
            &plan.text,
            &survey.not_canonical,
        ))
    }
}

fn show(context: &Context, survey: &Survey) {
    let out = context.console;
    let [x, y, z] = survey.workgroup;
    let barriers = if survey.barriers {
        ", with barriers"
    } else {
        ""
    };
    out.data(format!(
        "entry:     {}, {x} x {y} x {z} invocations{barriers}",
        survey.entry
    ));
    out.data(format!(
        "tier:      {}",
        match survey.tier {
            Tier::Exact => "exact: integers, the same bytes everywhere",
            Tier::Canonical => "canonical: floats that are the same bytes everywhere",
            Tier::Tolerance => "tolerance: floats that differ between devices; not offered yet",
        }
    ));
    let loops = if survey.loops || survey.loops_together {
        ", and what its loops burn of their fuel"
    } else {
        ", no loops"
    };
    out.data(format!(
        "cost:      {} operations for each invocation{loops}",
        survey.straight
    ));
    out.data(format!(
        "memory:    {} of {} bytes of a workgroup's",
        survey.shared_bytes, MAX_SHARED_BYTES
    ));
    for bound in &survey.bindings {
        let does = if bound.written { "writes" } else { "reads" };
        let size = match (bound.stride, bound.len) {
            (0, _) => format!("{}, {} bytes", bound.element, bound.fixed_bytes),
            (_, Some(len)) => format!("{len} x {}", bound.element),
            (_, None) => format!("an array of {}", bound.element),
        };
        out.data(format!("{does:<9}  {}: {size}", bound.name));
    }
    if !survey.overrides.is_empty() {
        out.data(format!("overrides: {}", survey.overrides.join(", ")));
    }
}
