//! Drives the real program as a person would: what it prints, what it writes, how it refuses.
//!
//! Tests run in the order of their names. The one on the GPU takes longest where a software rasterizer stands in for
//! one, so that it comes first, beside all others.

mod agreement;
mod bad_checkpoints;
mod bad_codes;
mod bad_configs;
mod bad_options;
mod bad_outputs;
mod bad_pictures;
mod brought;
mod bulk;
mod choosing;
mod completion;
mod conversion;
mod desk;
mod documentation;
mod evaluation;
mod explanation;
mod guidance;
mod interruption;
mod judges;
mod made_up;
mod morph;
mod outputs;
mod pictures;
mod reports;
mod revision;
mod sampling;
mod training;
