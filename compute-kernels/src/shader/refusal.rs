//! Why a shader is not admitted: where, what, and what to do about it.

use std::fmt;

use naga::Span;
use serde::{Deserialize, Serialize};

/// One reason not to run a shader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For scripts: `parse`, `float64`, `recursion` and so on.
    pub code: String,
    /// Line in the shader, from 1; 0 where it is about no place.
    pub line: u32,
    /// Column in that line, from 1.
    pub column: u32,
    /// What is wrong.
    pub reason: String,
    /// What its author may do.
    pub fix: String,
}

impl Refusal {
    /// About no place in the source.
    pub fn new(code: &str, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Refusal {
            code: code.into(),
            line: 0,
            column: 0,
            reason: reason.into(),
            fix: fix.into(),
        }
    }

    /// The same, about `span` of `source`, unless that is not the author's own text.
    #[must_use]
    pub fn at(mut self, span: Span, source: &str) -> Self {
        let within = |r: &std::ops::Range<usize>| r.end <= source.len() && !r.is_empty();
        if span.to_range().filter(within).is_some() {
            let place = span.location(source);
            (self.line, self.column) = (place.line_number, place.line_position);
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        write!(f, "{}", self.reason)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}
