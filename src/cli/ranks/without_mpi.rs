//! A program without MPI, which cannot talk to other ranks.

use residua_core::error::{Error, Result};
use residua_core::ranks::World;

/// Refuses to start.
///
/// # Errors
/// Always.
pub fn join() -> Result<World> {
    Err(Error::usage(
        "expected one process, found several started by mpirun: build Residua with the feature mpi to let them compute together",
    ))
}

/// Does nothing: there are no other ranks.
pub fn abort(_: u8) {}
