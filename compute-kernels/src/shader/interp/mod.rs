//! An engine for shaders without any driver: it runs rewritten shaders on a CPU, bit for bit as GPUs do.
//!
//! | file | what it does |
//! |---|---|
//! | `code` | what a program is |
//! | `values` | types as rows of numbers |
//! | `compile` | from naga's representation to a program: variables and types |
//! | `flow`, `pointers`, `expr` | the same: statements, memory, arithmetic |
//! | `machine`, `arith` | runs a program, a workgroup at a time |
//! | `shared` | workgroup memory that notices races |

mod arith;
mod code;
mod compile;
mod expr;
mod flow;
mod machine;
mod pointers;
mod shared;
mod values;

pub use code::Code;
pub use compile::compile;
pub use machine::{Buffers, Fault, Machine};
