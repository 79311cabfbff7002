//! Ranks that `mpirun` starts do together what one process does. These tests need Open MPI.

#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/desk.rs"]
mod desk;
mod faults;
#[path = "../shared/inception.rs"]
mod inception;
mod ranks;
#[path = "../shared/sameness.rs"]
mod sameness;
mod sharing;
mod training;
