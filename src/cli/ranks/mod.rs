//! The processes that `mpirun` started together. Only rank 0 prints; an error of one ends all.

#[cfg_attr(not(feature = "mpi"), path = "without_mpi.rs")]
mod over_mpi;

use std::time::Duration;

use sha2::{Digest, Sha256};

use residua_core::error::{Error, Result};
use residua_core::part::Part;
use residua_core::ranks::{World, agree, alone};
use residua_kernels::device;
use residua_weights::file::hexadecimal;

/// Environment variables in which `mpirun` tells a process how many there are: by Open MPI, and by MPICH.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];
/// The same for the processes on this machine.
const LOCAL_SIZES: [&str; 2] = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"];

/// The environment variable that sets how many threads a process computes with.
const THREADS: &str = "RAYON_NUM_THREADS";

/// How long a rank with an error waits for rank 0, which has most likely found the same error and reports it.
const GRACE: Duration = Duration::from_secs(4);

/// All processes of the job: this one alone, unless `mpirun` started several.
///
/// Call this before starting any threads.
///
/// # Errors
/// There are several, but this program cannot talk to them.
pub fn join() -> Result<World> {
    if said(&SIZES) <= 1 {
        return Ok(alone());
    }
    share_threads(said(&LOCAL_SIZES));
    let world = over_mpi::join()?;
    device::take_turn(world.local());
    Ok(world)
}

/// The number in the first of the environment variables `names` that has one; 1 if none has.
fn said(names: &[&str]) -> usize {
    let number = |name: &&str| std::env::var(name).ok()?.parse::<usize>().ok();
    names.iter().find_map(number).filter(|&number| number > 0).unwrap_or(1)
}

/// Divides this machine's CPU threads among `count` ranks, unless the user has set their number.
fn share_threads(count: usize) {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: there are no other threads yet that could read the environment.
        unsafe { std::env::set_var(THREADS, (all / count).max(1).to_string()) };
    }
}

/// Refuses ranks that run different programs, and a `command` that ranks cannot share.
///
/// # Errors
/// [`Error::Usage`].
pub fn check(world: &World, is_shared: bool) -> Result<()> {
    if world.is_alone() {
        return Ok(());
    }
    if !is_shared {
        return Err(Error::usage(
            "under mpirun, expected train, sample --bulk, eval or bench --train, found another command: run it without mpirun",
        ));
    }
    let path = std::env::current_exe().map_err(Error::invalid)?;
    let program = std::fs::read(&path).map_err(Error::io("read", &path))?;
    agree(world, &[("program", hexadecimal(&Sha256::digest(&program)))])
}

/// The part of a job that is this rank's; `given` is what the user asked for.
///
/// # Errors
/// [`Error::Usage`] if the user asked for a part on several ranks.
pub fn part(world: &World, given: Option<Part>) -> Result<Part> {
    match (given, world.is_alone()) {
        (Some(part), true) => Ok(part),
        (None, _) => Ok(Part::of(world.as_ref())),
        (Some(part), false) => Err(Error::usage(format!(
            "--part: expected none under mpirun, where each rank takes its own, found {part}: leave it out"
        ))),
    }
}

/// Ends all ranks with `code` after `tell`, which tells the user why: rank 0 at once, another only if rank 0 does not.
/// A process that runs alone continues.
pub fn end(world: &World, code: u8, tell: impl FnOnce(&str)) {
    if world.is_alone() {
        return tell("");
    }
    if !world.leads() {
        std::thread::sleep(GRACE);
    }
    let of_rank = format!("rank {}: ", world.rank());
    tell(if world.leads() { "" } else { &of_rank });
    over_mpi::abort(code);
}
