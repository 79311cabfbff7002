//! The rules of sampling, without the models: filters, given codes, the order of cells and the schedule of
//! draft-and-revise.

pub mod filter;
mod forced;
mod images;
pub mod morph;
pub mod partition;
mod schedule;

pub use filter::{Filter, Sampling};
pub use forced::Forced;
pub use images::Images;
pub use schedule::{Rounds, Schedule};
