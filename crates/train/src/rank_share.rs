//! How the ranks of a run share its steps, so that together they do what one process would.
//!
//! A step has parts. In stage 2 they are independent: teams of ranks take different parts at the same time. In stage 1
//! each part moves the codebooks for the next, so there is one team. The ranks of a team share the pictures of a part.

use std::ops::Range;

use burn::tensor::Tensor;

use residua_core::error::{Error, Result};
use residua_core::ranks::{World, alone};
use residua_kernels::dropout::Noise;
use residua_kernels::gradient::over_ranks::sum_over;

/// A rank's share of each step.
#[derive(Clone)]
pub struct RankShare {
    world: World,
    /// Teams, which take turns with the parts.
    teams: usize,
    /// Ranks of a team.
    members: usize,
    /// Pictures of a part.
    pictures: usize,
}

impl RankShare {
    /// The share of a process on its own: everything.
    pub fn alone() -> Self {
        Self { world: alone(), teams: 1, members: 1, pictures: 1 }
    }

    /// The share of a rank of `world` in steps of `parts` parts of `pictures` pictures each; `in_turn` if each part
    /// depends on the one before.
    ///
    /// # Errors
    /// There are more ranks in a team than pictures in a part.
    pub fn new(world: World, parts: usize, pictures: usize, in_turn: bool) -> Result<Self> {
        let teams = if in_turn { 1 } else { common_divisor(parts, world.size()) };
        let members = world.size() / teams;
        if members <= pictures {
            Ok(Self { world, teams, members, pictures })
        } else {
            Err(Error::usage(format!(
                "experiment.batch_size: expected {members} or more, as {members} ranks share each part of a step, found \
                 {pictures}: raise it, or start fewer ranks"
            )))
        }
    }

    /// All ranks of the run.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What each rank does, for the user; `None` for a process on its own. A step has `parts` parts.
    pub fn described(&self, parts: usize) -> Option<String> {
        let Self { world, teams, members, pictures } = self;
        let size = world.size();
        match (size, *members) {
            (1, _) => None,
            (_, 1) => {
                Some(format!("{size} ranks: each takes {} of the {parts} parts of a step", parts / teams))
            }
            _ => Some(format!(
                "{size} ranks: {members} share the {pictures} pictures of each part, for {} parts in turn",
                parts / teams
            )),
        }
    }

    /// How many parts are taken at the same time.
    pub fn teams(&self) -> usize {
        self.teams
    }

    /// The numbers of the parts that this rank takes, from part `first`, which begins a step.
    pub fn numbers(&self, first: u64) -> impl Iterator<Item = u64> + use<> {
        (first + (self.world.rank() / self.members) as u64..).step_by(self.teams)
    }

    /// Which of the `pictures` of a part are this rank's.
    pub fn rows(&self, pictures: usize) -> Range<usize> {
        let member = self.world.rank() % self.members;
        pictures * member / self.members..pictures * (member + 1) / self.members
    }

    /// The fraction of a part's pictures that are this rank's: the weight of its means. The weights of a team add up
    /// to 1.
    pub fn weight(&self) -> f64 {
        self.rows(self.pictures).len() as f64 / self.pictures as f64
    }

    /// The noise of pass `pass` for this rank's `pictures`.
    pub fn noise(&self, seed: u32, pass: u32, pictures: usize) -> Noise {
        let first = self.rows(self.pictures).start as u32;
        Noise { first, pictures: pictures as u32, ..Noise::new(seed, pass) }
    }

    /// The fractions of the team's counts that are this rank's `own`: 1 for a team of one, and 0 if there is
    /// nothing to count.
    pub fn fractions<const N: usize>(&self, own: impl FnOnce() -> [f64; N]) -> [f64; N] {
        if self.members == 1 {
            return [1.0; N];
        }
        let own = own();
        let mut counts = vec![0.0; N * self.teams];
        let place = self.world.rank() / self.members * N;
        counts[place..place + N].copy_from_slice(&own);
        self.world.sum_f64(&mut counts);
        std::array::from_fn(|i| if own[i] > 0.0 { own[i] / counts[place + i] } else { 0.0 })
    }

    /// The sum of `x` over all ranks, of which each computes the gradients for the sum of all losses.
    pub fn sum<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.world.is_alone() { x } else { sum_over(x, &self.world) }
    }

    /// The mean over a part of something of which `own` is the mean over this rank's pictures, if there is one team. Its
    /// gradients are those of [`Self::sum`].
    pub fn mean<const D: usize>(&self, own: Tensor<D>) -> Tensor<D> {
        if self.world.is_alone() { own } else { self.sum(own * self.weight()) }
    }

    /// The `numbers` of all ranks, one rank after another.
    pub fn gather(&self, numbers: Vec<f32>) -> Vec<f32> {
        if self.world.is_alone() {
            return numbers;
        }
        let all = self.world.gather(bytemuck::cast_slice::<f32, u8>(&numbers).to_vec()).concat();
        all.as_chunks::<4>().0.iter().map(|&number| f32::from_ne_bytes(number)).collect()
    }

    /// The codes of all ranks, one rank after another.
    pub fn gather_codes(&self, codes: Vec<usize>) -> Vec<usize> {
        if self.world.is_alone() {
            return codes;
        }
        let bytes: Vec<u8> = codes.into_iter().flat_map(|code| (code as u32).to_ne_bytes()).collect();
        let all = self.world.gather(bytes).concat();
        all.as_chunks::<4>().0.iter().map(|&code| u32::from_ne_bytes(code) as usize).collect()
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
