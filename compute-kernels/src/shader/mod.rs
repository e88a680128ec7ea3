//! Shaders that a requester brings: any WGSL compute shader, on strangers' machines.
//!
//! | file | what it does |
//! |---|---|
//! | `source` | text to a validated module; sizes and nesting bounded before the parser sees them |
//! | `survey`, `bindings` | what the shader binds, how its results compare, and every reason not to run it |
//! | `cost` | what it costs, before it runs |
//! | `spec` | what it is to be run on: the job's parameters, and how it is cut into tiles |
//! | `frame`, `prelude.wgsl` | the text around it: entry point, slots, float functions |
//! | `rewrite` | makes it harmless, and the same everywhere |
//! | `program` | all of that, for one job |
//! | `arrays` | what becomes of its tiles |
//! | `interp` | runs it without a driver, and judges |
//! | `ours` | a shader of this build's own, to be measured by |
//! | `gallery` | examples to begin with |
//!
//! Nothing here may be called with a stranger's text in a process that matters: parsing and compiling happen in a child
//! (`runner`), which is given up if it takes too long.

pub mod arrays;
pub mod bindings;
pub mod cost;
pub mod frame;
pub mod gallery;
pub mod interp;
mod kernel;
pub mod layout;
pub mod math;
pub mod ours;
pub mod program;
mod refusal;
pub mod rewrite;
pub mod source;
pub mod spec;
pub mod survey;

pub use kernel::Wgsl;
pub use program::Program;
pub use refusal::Refusal;
pub use spec::Spec;
