//! The processes of one job, which compute together. Each has a rank, and rank 0 leads: it alone prints, and
//! writes what the ranks compute together.
//!
//! All ranks call the same functions of [`Ranks`] in the same order, and each call returns when all have made it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};

/// A process among those of its job.
pub trait Ranks: Send + Sync {
    /// Its number among all, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Its number among those of this machine.
    fn local(&self) -> usize;

    /// Replaces each value by its sum over all ranks. All get the same bits.
    fn sum(&self, values: &mut [f32]);

    /// The same in double precision.
    fn sum_f64(&self, values: &mut [f64]);

    /// The `bytes` of every rank, in the order of ranks. All ranks get the same.
    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>>;

    /// How long this process has spent in these calls, mostly waiting for others.
    fn waited(&self) -> Duration;

    /// True if there are no others.
    fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// True for rank 0.
    fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// True if `flag` is true on some rank.
    fn any(&self, flag: bool) -> bool {
        let mut count = [f64::from(u8::from(flag))];
        self.sum_f64(&mut count);
        count[0] > 0.0
    }

    /// Waits for all ranks.
    fn wait(&self) {
        self.any(false);
    }
}

/// The ranks of a job, as one of them sees them.
pub type World = Arc<dyn Ranks>;

/// The world of a process that computes on its own.
pub fn alone() -> World {
    Arc::new(Alone)
}

struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local(&self) -> usize {
        0
    }

    fn sum(&self, _: &mut [f32]) {}

    fn sum_f64(&self, _: &mut [f64]) {}

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        vec![bytes]
    }

    fn waited(&self) -> Duration {
        Duration::ZERO
    }
}

/// Refuses ranks that differ from rank 0. `own` is what this one has: names for the user, each with text or a hash. All
/// ranks pass the same names, and all return the same error.
///
/// # Errors
/// [`Error::Usage`], with the first rank that differs and what differs there.
pub fn agree(world: &World, own: &[(&str, String)]) -> Result<()> {
    let texts: Vec<&String> = own.iter().map(|(_, text)| text).collect();
    let all = world.gather(serde_json::to_vec(&texts).map_err(Error::invalid)?);
    let all: Vec<Vec<String>> = all
        .iter()
        .map(|bytes| serde_json::from_slice(bytes))
        .collect::<Result<_, _>>()
        .map_err(Error::invalid)?;
    for (rank, texts) in all.iter().enumerate().skip(1) {
        let differs = |&(at, _): &(usize, &(&str, String))| texts.get(at) != all[0].get(at);
        if let Some((_, (name, _))) = own.iter().enumerate().find(differs) {
            return Err(Error::usage(format!(
                "expected the same {name} on all ranks, found a difference between ranks 0 and {rank}: start all ranks with \
                 the same"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rank 0 of two, of which the other always gives `other`.
    struct Paired {
        other: Vec<u8>,
    }

    impl Ranks for Paired {
        fn rank(&self) -> usize {
            0
        }

        fn size(&self) -> usize {
            2
        }

        fn local(&self) -> usize {
            0
        }

        fn sum(&self, _: &mut [f32]) {}

        fn sum_f64(&self, _: &mut [f64]) {}

        fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
            vec![bytes, self.other.clone()]
        }

        fn waited(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn the_first_difference_between_ranks_is_named() {
        let own = [("program", "a".to_string()), ("pictures", "b".to_string())];
        let with = |other: &str| -> World { Arc::new(Paired { other: other.into() }) };
        assert!(agree(&alone(), &own).is_ok());
        assert!(agree(&with(r#"["a","b"]"#), &own).is_ok());
        for (other, name) in
            [(r#"["c","d"]"#, "program"), (r#"["a","d"]"#, "pictures"), (r#"["a"]"#, "pictures")]
        {
            let error = agree(&with(other), &own).unwrap_err().to_string();
            assert!(error.starts_with(&format!("expected the same {name} on all ranks")), "{error}");
        }
    }
}
