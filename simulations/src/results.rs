//! What an experiment leaves behind: a folder of rows, and the tables, plots and pages made from it.
//!
//! Start with [`row`] (what one run yields), [`folder`] (how it is kept) and [`mod@export`] (what is made of it). Nothing
//! in here knows what a swarm is: whoever runs cells hands in rows and describes the metrics. The same rows give the
//! same bytes in every file, on every machine.

mod atomic;
pub mod compare;
mod error;
pub mod export;
pub mod folder;
mod lines;
mod page;
mod plot;
mod plots;
mod provenance;
pub mod row;
pub mod stats;
pub mod summary;
mod svg;
mod table;

pub use compare::{Comparison, Verdict, compare};
pub use error::ResultsError;
pub use export::{Exported, export};
pub use folder::{About, Folder, Plan};
pub use row::{Better, Finished, MetricInfo, Row, Samples, Value};
pub use stats::binomial_interval;
pub use summary::{STOP_SHARE, Stop, Summary, summarise};
