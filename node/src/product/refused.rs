//! Why there is no product, as reasons for pages and programs: one for each thing that is to be changed.

use starling_kernels::runner::RunnerError;

use super::ProductError;
use crate::reason::Reason;

impl ProductError {
    /// Whether whoever asked has to change something; else it is this machine that does not get on.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Disk(_) | Self::Io(_) | Self::Film(_) | Self::Tile(_)
        ) && !matches!(self, Self::Runner(error) if !matches!(error, RunnerError::Job(_)))
    }

    /// Each with what is to be changed. One about a place in a file has `file`, `line` and `column`, from 1, in its
    /// particulars.
    pub fn reasons(self) -> Vec<Reason> {
        let one = match self {
            Self::Refused { file, all, .. } => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let reasons = all.into_iter().map(|refusal| {
                    let mut reason =
                        Reason::new("shader_refused", refusal.reason, refusal.fix.as_str())
                            .with("file", name.as_ref())
                            .with("rule", refusal.code);
                    reason.fix = reason.fix.filter(|fix| !fix.is_empty());
                    if refusal.line == 0 {
                        return reason;
                    }
                    reason
                        .with("line", refusal.line)
                        .with("column", refusal.column)
                });
                return reasons.collect();
            }
            Self::Array { file, error } => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                Reason::of("bad_input", error).with("file", name.as_ref())
            }
            Self::Job(error) => error.into(),
            Self::Runner(error) => error.into(),
            Self::Disk(error) => error.into(),
            Self::Scene(error) => Reason::of("bad_input", error),
            Self::Io(error) => Reason::of("disk_failed", error),
            error @ (Self::Film(_) | Self::Tile(_)) => Reason::of("error", error),
            error @ (Self::Plan { .. }
            | Self::Samples(_)
            | Self::Large(_)
            | Self::Unequal { .. }
            | Self::Format { .. }) => Reason::of("bad_params", error),
        };
        vec![one]
    }
}
