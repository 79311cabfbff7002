//! Codebooks updated as moving averages of the latents assigned to their codes (paper section 3.1.3; van den
//! Oord et al., arXiv 1711.00937, appendix A.1). Updates happen within a step: a shared codebook changes from
//! one depth to the next.

mod restart;

use burn::tensor::{Device, Int, Tensor, TensorData};

pub use restart::Restart;

use super::rank_share::RankShare;
use residua_core::random::normal;
use residua_kernels::quantize::Codebook;
use residua_kernels::values;

/// Laplace smoothing of the cluster sizes: keeps unused codes from dividing by 0.
const EPSILON: f64 = 1e-5;

/// Domain separator for the random numbers of new codebooks; restarts have others.
const INITIAL: u32 = 1;

/// A codebook and its moving averages.
#[derive(Clone, Debug, PartialEq)]
pub struct MovingCodebook {
    /// Embeddings, `[K, C]`.
    pub weight: Vec<f32>,
    /// Average number of latents assigned to each code, `[K]`.
    pub cluster_size: Vec<f32>,
    /// Average sums of these latents, `[K, C]`.
    pub sums: Vec<f32>,
    dim: usize,
}

/// How to update codebooks.
#[derive(Clone, Debug)]
pub struct Moving {
    /// Decay of the moving averages at each depth.
    pub decay: Vec<f64>,
    /// How to restart unused codes; `None`: never.
    pub restart: Option<Restart>,
}

impl MovingCodebook {
    /// A codebook with embeddings `[K, C]` and averages `[K]` and `[K, C]`.
    pub fn new(weight: Vec<f32>, cluster_size: Vec<f32>, sums: Vec<f32>) -> Self {
        let dim = weight.len() / cluster_size.len();
        Self { weight, cluster_size, sums, dim }
    }

    /// `size` normally distributed embeddings of length `dim`, without assigned latents.
    pub fn initial(size: usize, dim: usize, seed: u32, depth: usize) -> Self {
        let number = |i: usize| normal([seed, INITIAL, depth as u32, i as u32]);
        let weight: Vec<f32> = (0..size * dim).map(number).collect();
        Self { cluster_size: vec![0.0; size], sums: weight.clone(), weight, dim }
    }

    /// The number of codes, `K`.
    pub fn size(&self) -> usize {
        self.cluster_size.len()
    }

    /// True if no latents have been assigned to any code.
    fn is_new(&self) -> bool {
        self.cluster_size.iter().all(|&size| size == 0.0)
    }

    /// The codebook on `device`, for look-ups.
    fn on(&self, device: &Device) -> Codebook {
        let data = TensorData::new(self.weight.clone(), [self.size(), self.dim]);
        Codebook::new(Tensor::from_data(data, device))
    }

    /// Updates the averages with `latents` `[N, C]`, assigned to `codes` `[N]`.
    fn count(&mut self, latents: &[f32], codes: &[usize], decay: f64) {
        let (old, new) = (decay as f32, (1.0 - decay) as f32);
        let mut sizes = vec![0.0f32; self.size()];
        let mut sums = vec![0.0f32; self.sums.len()];
        for (latent, &code) in latents.chunks_exact(self.dim).zip(codes) {
            sizes[code] += 1.0;
            let sum = &mut sums[code * self.dim..][..self.dim];
            sum.iter_mut().zip(latent).for_each(|(sum, x)| *sum += x);
        }
        let average = |average: &mut f32, x: f32| *average = *average * old + x * new;
        self.cluster_size.iter_mut().zip(sizes).for_each(|(mean, x)| average(mean, x));
        self.sums.iter_mut().zip(sums).for_each(|(mean, x)| average(mean, x));
    }

    /// Sets the embeddings to the means of their latents.
    fn settle(&mut self) {
        let total: f64 = self.cluster_size.iter().map(|&size| f64::from(size)).sum();
        let scale = total / (total + self.size() as f64 * EPSILON);
        for (code, &size) in self.cluster_size.iter().enumerate() {
            let divisor = ((f64::from(size) + EPSILON) * scale) as f32;
            let row = code * self.dim..(code + 1) * self.dim;
            let sums = &self.sums[row.clone()];
            self.weight[row].iter_mut().zip(sums).for_each(|(weight, sum)| *weight = sum / divisor);
        }
    }
}

/// The codebooks of all depths, in training.
#[derive(Clone, Debug, PartialEq)]
pub struct MovingCodebooks {
    /// One shared codebook, or one per depth.
    pub each: Vec<MovingCodebook>,
    depth: usize,
}

/// The result of quantizing a batch.
pub struct Assigned {
    /// Codes `[D][N]`, including those of other ranks' latents.
    pub codes: Vec<Vec<usize>>,
    /// Sums of the embeddings of codes `0..=d`, `[N, C]` for each depth.
    pub partial_sums: Vec<Tensor<2>>,
}

impl MovingCodebooks {
    /// One codebook shared by `depth` depths, or one for each.
    pub fn new(each: Vec<MovingCodebook>, depth: usize) -> Self {
        Self { each, depth }
    }

    /// The codebook of depth `d`.
    pub fn of(&self, d: usize) -> &MovingCodebook {
        &self.each[d.min(self.each.len() - 1)]
    }

    /// Moves all values towards those of `other`: `decay` times the old value plus `1 - decay` times the
    /// other.
    pub fn follow(&mut self, other: &Self, decay: f64) {
        let (old, new) = (decay as f32, (1.0 - decay) as f32);
        let mix = |to: &mut Vec<f32>, from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *to * old + from * new);
        };
        for (to, from) in self.each.iter_mut().zip(&other.each) {
            mix(&mut to.weight, &from.weight);
            mix(&mut to.cluster_size, &from.cluster_size);
            mix(&mut to.sums, &from.sums);
        }
    }

    /// Quantizes `latents` `[N, C]`, without gradients, and updates the codebooks as set by `moving`.
    pub fn quantize(&mut self, latents: Tensor<2>, moving: &Moving) -> Assigned {
        self.quantize_shared(latents, moving, &RankShare::alone())
    }

    /// The same for `latents` that are a `share` of a batch. All ranks update their codebooks from the latents of all,
    /// in the same order, so that these stay equal.
    pub fn quantize_shared(&mut self, latents: Tensor<2>, moving: &Moving, share: &RankShare) -> Assigned {
        let device = latents.device();
        let mut residual = latents;
        let mut assigned = Assigned { codes: Vec::new(), partial_sums: Vec::new() };
        for d in 0..self.depth {
            let index = d.min(self.each.len() - 1);
            let numbers = share.gather(values(residual.clone()));
            let moved = &mut self.each[index];
            let restart = moving.restart.as_ref();
            if let Some(restart) = restart.filter(|restart| restart.by_error && moved.is_new()) {
                let codes = share.gather_codes(indices(moved.on(&device).nearest(residual.clone())));
                moved.restart(&numbers, &codes, restart, d);
                moved.settle();
            }
            let codebook = moved.on(&device);
            let codes = codebook.nearest(residual.clone());
            let embeddings = codebook.embed(codes.clone());
            let codes = share.gather_codes(indices(codes));
            moved.count(&numbers, &codes, moving.decay[d]);
            if let Some(restart) = restart {
                moved.restart(&numbers, &codes, restart, d);
            }
            moved.settle();
            residual = residual - embeddings.clone();
            let sum = match assigned.partial_sums.last() {
                Some(above) => above.clone() + embeddings,
                None => embeddings,
            };
            assigned.partial_sums.push(sum);
            assigned.codes.push(codes);
        }
        assigned
    }
}

fn indices(codes: Tensor<1, Int>) -> Vec<usize> {
    codes.into_data().iter::<i64>().map(|code| code as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_testing::tensor;

    fn codebooks(shared: bool) -> MovingCodebooks {
        let count = if shared { 1 } else { 3 };
        MovingCodebooks::new((0..count).map(|d| MovingCodebook::initial(16, 4, 5, d)).collect(), 3)
    }

    fn restart() -> Restart {
        Restart { seed: 3, step: 0, threshold: vec![1.0; 3], by_error: false, blank: Vec::new() }
    }

    fn moving(restarts: bool) -> Moving {
        Moving { decay: vec![0.9; 3], restart: restarts.then(restart) }
    }

    /// A single code converges to the mean of all latents.
    #[test]
    fn codes_converge_to_the_means() {
        let mut books = MovingCodebooks::new(vec![MovingCodebook::initial(1, 4, 5, 0)], 1);
        let latents = tensor([64, 4], 1, &Device::flex()) * 3.0 + 1.0;
        let mean = values(latents.clone().mean_dim(0));
        for _ in 0..400 {
            books.quantize(latents.clone(), &moving(false));
        }
        let weight = &books.each[0].weight;
        assert!(weight.iter().zip(&mean).all(|(w, m)| (w - m).abs() < 1e-4), "{weight:?} {mean:?}");
    }

    #[test]
    fn unused_codes_are_restarted_at_latents() {
        let latents = tensor([64, 4], 1, &Device::flex()) * 0.5 + 8.0;
        let used = |restart| {
            let mut books = codebooks(false);
            (0..30).for_each(|_| drop(books.quantize(latents.clone(), &moving(restart))));
            let first = books.quantize(latents.clone(), &moving(restart)).codes.swap_remove(0);
            first.iter().collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(used(false), 1);
        assert!(used(true) > 8, "{}", used(true));
    }

    /// A single code represents all latents that are nearly equal; the other codes go to latents that differ.
    #[test]
    fn restarts_by_error_go_to_badly_represented_latents() {
        let nearly_alike = tensor([48, 4], 2, &Device::flex()) * 1e-3;
        let latents = Tensor::cat(vec![nearly_alike, tensor([16, 4], 1, &Device::flex()) * 8.0], 0);
        let alike = |by_error| {
            let restart = Some(Restart { by_error, ..restart() });
            let mut books = MovingCodebooks::new(vec![MovingCodebook::initial(16, 4, 5, 0)], 1);
            drop(books.quantize(latents.clone(), &Moving { decay: vec![0.9], restart }));
            let weight = &books.each[0].weight;
            weight.chunks(4).filter(|row| row.iter().all(|x| x.abs() < 0.01)).count()
        };
        assert!(alike(true) <= 1, "{}", alike(true));
        assert!(alike(false) > 6, "{}", alike(false));
    }

    /// No code restarts at a blank latent, but one moves there by averaging; the other latents are fewer than
    /// the codes.
    #[test]
    fn blank_latents_share_a_code() {
        let (white, others) = (tensor([32, 4], 2, &Device::flex()), tensor([8, 4], 1, &Device::flex()) * 8.0);
        let latents = Tensor::cat(vec![white * 0.1, others], 0);
        let distinct = |count: usize| {
            let blank = (0..40).map(|i| i < count).collect();
            let restart = Some(Restart { by_error: true, blank, ..restart() });
            let mut books = MovingCodebooks::new(vec![MovingCodebook::initial(16, 4, 5, 0)], 1);
            let moving = Moving { decay: vec![0.9], restart };
            let mut quantize = || books.quantize(latents.clone(), &moving).codes.swap_remove(0);
            (0..30).for_each(|_| drop(quantize()));
            quantize()[..32].iter().collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(distinct(32), 1);
        assert!(distinct(0) > 4, "{}", distinct(0));
    }

    /// The second depth separates the residuals of the first, although its codes are placed only once.
    #[test]
    fn new_codebooks_are_initialized_depth_by_depth() {
        let latents = tensor([64, 4], 1, &Device::flex()) * 0.5 + 8.0;
        let distinct = |by_error| {
            let restart = Some(Restart { by_error, threshold: vec![1e-6; 3], ..restart() });
            let mut books = codebooks(false);
            let moving = Moving { decay: vec![0.9; 3], restart };
            (0..2).for_each(|_| drop(books.quantize(latents.clone(), &moving)));
            let second = books.quantize(latents.clone(), &moving).codes.swap_remove(1);
            second.iter().collect::<std::collections::HashSet<_>>().len()
        };
        assert!(distinct(true) > 8, "{}", distinct(true));
        assert!(distinct(false) < 4, "{}", distinct(false));
    }

    /// A depth with a small threshold is initialized and then hardly restarted; with a threshold of 0, it is
    /// not initialized.
    #[test]
    fn a_small_threshold_initializes_and_hardly_restarts() {
        let latents = tensor([64, 4], 1, &Device::flex()) * 0.5 + 8.0;
        let restart = Some(Restart { threshold: vec![1.0, 1e-6, 0.0], ..restart() });
        let moving = Moving { decay: vec![0.9; 3], restart };
        let mut books = codebooks(false);
        let mut least_used = |steps: usize| {
            (0..steps).for_each(|_| drop(books.quantize(latents.clone(), &moving)));
            [0, 1, 2].map(|d| books.each[d].cluster_size.iter().copied().fold(f32::INFINITY, f32::min))
        };
        assert_eq!(least_used(1), [1.0, 1.0, 0.0]);
        let [first, second, third] = least_used(30);
        assert!(first >= 1.0 && second < 0.5 && third == 0.0, "{first} {second} {third}");
    }

    #[test]
    fn copies_of_few_latents_are_spread() {
        let mut books = codebooks(false);
        let latents = tensor([5, 4], 1, &Device::flex());
        books.quantize(latents, &moving(true));
        for book in &books.each {
            let rows: Vec<&[f32]> = book.weight.chunks(4).collect();
            assert!((0..16).all(|i| (0..i).all(|j| rows[i] != rows[j])));
        }
    }
}
