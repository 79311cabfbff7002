//! Ranks that communicate over MPI, each from its main thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mpi::Count;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::{Threading, Universe, initialize_with_threading, processor_name};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence};

use residua_core::error::{Error, Result};
use residua_core::ranks::{Ranks, World};

/// Most values in a message: MPI counts them in 32 bits.
const LARGEST: usize = 1 << 26;

/// The exit code of a panic.
const PANICKED: i32 = 101;

/// A rank of all that `mpirun` started.
struct Connected {
    rank: usize,
    size: usize,
    local: usize,
    waited: Mutex<Duration>,
    /// Leaves MPI when dropped, which waits for all ranks.
    _universe: Universe,
}

/// Joins the other ranks. From now on, a panic of the main thread ends them, too.
///
/// # Errors
/// MPI cannot be started.
pub fn join() -> Result<World> {
    let started = initialize_with_threading(Threading::Funneled);
    let (universe, _) =
        started.ok_or_else(|| Error::invalid("expected MPI to start, found it started already"))?;
    end_all_on_panic();
    let world = SimpleCommunicator::world();
    let mut connected = Connected {
        rank: world.rank() as usize,
        size: world.size() as usize,
        local: 0,
        waited: Mutex::default(),
        _universe: universe,
    };
    let machines = connected.gather(processor_name().unwrap_or_default().into_bytes());
    let (before, own) = (&machines[..connected.rank], &machines[connected.rank]);
    connected.local = before.iter().filter(|&machine| machine == own).count();
    Ok(Arc::new(connected))
}

/// Ends all ranks. `mpirun` exits with `code`.
pub fn abort(code: u8) -> ! {
    SimpleCommunicator::world().abort(code.into())
}

/// Unwinding would wait for the other ranks, which wait for this one.
fn end_all_on_panic() {
    let report = std::panic::take_hook();
    let main = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if std::thread::current().id() == main {
            SimpleCommunicator::world().abort(PANICKED);
        }
    }));
}

impl Connected {
    /// Does `work` and counts its time as waiting.
    fn waiting<T>(&self, work: impl FnOnce(&SimpleCommunicator) -> T) -> T {
        let begun = Instant::now();
        let done = work(&SimpleCommunicator::world());
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner) += begun.elapsed();
        done
    }

    fn add_up<T: Equivalence + Clone>(&self, values: &mut [T]) {
        self.waiting(|world| {
            for values in values.chunks_mut(LARGEST) {
                let own = values.to_vec();
                world.all_reduce_into(&own[..], values, SystemOperation::sum());
            }
        });
    }
}

impl Ranks for Connected {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local(&self) -> usize {
        self.local
    }

    fn sum(&self, values: &mut [f32]) {
        self.add_up(values);
    }

    fn sum_f64(&self, values: &mut [f64]) {
        self.add_up(values);
    }

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        self.waiting(|world| {
            let mut lengths = vec![0u64; self.size];
            world.all_gather_into(&[bytes.len() as u64][..], &mut lengths[..]);
            let mut all: Vec<Vec<u8>> = vec![Vec::new(); self.size];
            let longest = lengths.iter().copied().max().unwrap_or(0) as usize;
            // All ranks send at most this much at a time.
            let most = LARGEST / self.size;
            for from in (0..longest).step_by(most) {
                let piece = |length: usize| from.min(length)..(from + most).min(length);
                let counts: Vec<Count> =
                    lengths.iter().map(|&length| piece(length as usize).len() as Count).collect();
                let starts: Vec<Count> = (0..self.size).map(|rank| counts[..rank].iter().sum()).collect();
                let mut pieces = vec![0u8; counts.iter().sum::<Count>() as usize];
                let mut parts = PartitionMut::new(&mut pieces[..], &counts[..], &starts[..]);
                world.all_gather_varcount_into(&bytes[piece(bytes.len())], &mut parts);
                let mut left = &pieces[..];
                for (all, &count) in all.iter_mut().zip(&counts) {
                    let (piece, rest) = left.split_at(count as usize);
                    all.extend_from_slice(piece);
                    left = rest;
                }
            }
            all
        })
    }

    fn waited(&self) -> Duration {
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
