//! Drives the real program as a user would: what it prints, what it writes, how it rejects bad input.
//!
//! Tests run in alphabetical order. The GPU test is the slowest on a software rasterizer, so it comes first
//! and runs alongside all others.

mod agreement;
mod bad_checkpoints;
mod bad_codes;
mod bad_configs;
mod bad_options;
mod bad_outputs;
mod bad_pictures;
mod bad_places;
mod bad_training;
mod brought;
mod bulk;
mod choosing;
mod completion;
#[path = "../shared/contextual.rs"]
mod contextual;
mod conversion;
mod desk;
mod documentation;
mod evaluation;
mod explanation;
mod foreign_weights;
mod guidance;
#[path = "../shared/inception.rs"]
mod inception;
mod interruption;
mod judges;
mod large_pictures;
mod layers;
mod made_up;
mod morph;
#[path = "../shared/named.rs"]
mod named;
mod outputs;
mod parts;
mod pictures;
mod published;
mod reports;
mod resumption;
mod revision;
#[path = "../shared/sameness.rs"]
mod sameness;
mod sampling;
mod training;
mod transfer;
