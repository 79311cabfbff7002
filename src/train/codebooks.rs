//! Codebooks that are moving averages of what falls to their codes (paper section 3.1.3; van den Oord et al., arXiv
//! 1711.00937, appendix A.1). They change within a step: a codebook that depths share has changed before the next depth.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::kernels::quantize::Codebook;
use crate::kernels::values;
use crate::random::{normal, permutation, uniform};

/// Keeps codes that nothing falls to apart from nothing.
const EPSILON: f64 = 1e-5;

/// Spread of copies of latents, in units of one over the square root of their length, where there are fewer than codes.
const SPREAD: f32 = 0.01;

/// What each of the streams of random numbers is for.
mod stream {
    pub const INITIAL: u32 = 1;
    pub const ORDER: u32 = 0x6f72_0000;
    pub const ERROR: u32 = 0x6572_0000;
    pub const SPREAD: u32 = 0x7370_0000;
}

/// One codebook and its moving averages.
#[derive(Clone, Debug, PartialEq)]
pub struct MovingCodebook {
    /// Embeddings, `[K, C]`.
    pub weight: Vec<f32>,
    /// How many latents fall to each code, `[K]`.
    pub cluster_size: Vec<f32>,
    /// Their sums, `[K, C]`.
    pub sums: Vec<f32>,
    dim: usize,
}

/// How codebooks move.
#[derive(Clone, Debug)]
pub struct Moving {
    /// How much of an average stays in a step, for each depth.
    pub decay: Vec<f64>,
    /// How codes that fell out of use are restarted; `None`: never.
    pub restart: Option<Restart>,
}

/// How codes that fell out of use get the place of a latent.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Of the random numbers.
    pub seed: u32,
    /// Of the training.
    pub step: u32,
    /// Out of use are codes that fewer latents fall to, in the moving average, for each depth.
    pub threshold: Vec<f64>,
    /// Whether latents are drawn by their error, as k-means++ does (Arthur and Vassilvitskii, 2007), and not all alike. All
    /// alike, codes crowd where latents do: on the background, of which there is little to tell.
    /// New codebooks are then placed before they are first used, so that each depth begins with what the one above leaves.
    pub by_error: bool,
    /// Those latents that no code gets the place of when they are drawn by error; empty: there are none.
    pub blank: Vec<bool>,
}

impl MovingCodebook {
    /// Of `weight` `[K, C]`, with averages `[K]` and `[K, C]`.
    pub fn new(weight: Vec<f32>, cluster_size: Vec<f32>, sums: Vec<f32>) -> Self {
        let dim = weight.len() / cluster_size.len();
        Self { weight, cluster_size, sums, dim }
    }

    /// `size` normally distributed embeddings of length `dim`; nothing has fallen to them yet.
    pub fn initial(size: usize, dim: usize, seed: u32, depth: usize) -> Self {
        let number = |i: usize| normal([seed, stream::INITIAL, depth as u32, i as u32]);
        let weight: Vec<f32> = (0..size * dim).map(number).collect();
        Self { cluster_size: vec![0.0; size], sums: weight.clone(), weight, dim }
    }

    /// Codes, `K`.
    pub fn size(&self) -> usize {
        self.cluster_size.len()
    }

    /// Whether nothing has fallen to any code yet.
    fn is_new(&self) -> bool {
        self.cluster_size.iter().all(|&size| size == 0.0)
    }

    /// Ready for look-ups on `device`.
    fn on(&self, device: &Device) -> Codebook {
        let data = TensorData::new(self.weight.clone(), [self.size(), self.dim]);
        Codebook::new(Tensor::from_data(data, device))
    }

    /// Counts `latents` `[N, C]`, of which each has fallen to the code in `codes` `[N]`, into the averages.
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

    /// Gives codes that are hardly used the place of `latents` `[N, C]`, of which each fell to the code in `codes` `[N]`.
    fn restart(&mut self, latents: &[f32], codes: &[usize], restart: &Restart, d: usize) {
        let &Restart { seed, step, ref threshold, by_error, ref blank } = restart;
        let depth = d as u32;
        let count = latents.len() / self.dim;
        let is_dead = |&code: &usize| f64::from(self.cluster_size[code]) < threshold[d];
        let dead: Vec<usize> = (0..self.size()).filter(is_dead).collect();
        let chosen = if by_error {
            self.drawn_by_error(latents, codes, blank, dead.len(), [seed ^ stream::ERROR, step, depth])
        } else {
            let order = permutation(count.max(self.size()), [seed ^ stream::ORDER, step, depth]);
            dead.iter().map(|&code| order[code]).collect()
        };
        for (code, chosen) in dead.into_iter().zip(chosen) {
            let latent = &latents[chosen % count * self.dim..][..self.dim];
            let spread = if count < self.size() { SPREAD / (self.dim as f32).sqrt() } else { 0.0 };
            for (i, (sum, x)) in self.sums[code * self.dim..][..self.dim].iter_mut().zip(latent).enumerate() {
                let word = (chosen * self.dim + i) as u32;
                *sum = x + spread * uniform([seed ^ stream::SPREAD, step, depth, word]);
            }
            self.cluster_size[code] = 1.0;
        }
    }

    /// `wanted` of `latents`, each drawn in proportion to the squared distance from the code that it fell to, or from the
    /// nearest latent that was drawn before; those that are `blank` are not drawn.
    fn drawn_by_error(
        &self,
        latents: &[f32],
        codes: &[usize],
        blank: &[bool],
        wanted: usize,
        stream: [u32; 3],
    ) -> Vec<usize> {
        let rows: Vec<&[f32]> = latents.chunks_exact(self.dim).collect();
        let error =
            |(row, &code): (&&[f32], &usize)| distance(row, &self.weight[code * self.dim..][..self.dim]);
        let mut errors: Vec<f32> = rows.iter().zip(codes).map(error).collect();
        errors.iter_mut().zip(blank).filter(|(_, blank)| **blank).for_each(|(error, _)| *error = 0.0);
        let draw = |i: usize| {
            let total: f64 = errors.iter().map(|&error| f64::from(error)).sum();
            let [seed, step, depth] = stream;
            let mut left = f64::from(uniform([seed, step, depth, i as u32])) * total;
            let is_reached = |&error: &f32| {
                left -= f64::from(error);
                left < 0.0
            };
            let chosen = errors.iter().position(is_reached).unwrap_or(rows.len() - 1);
            let nearer = |(error, row): (&mut f32, &&[f32])| *error = error.min(distance(row, rows[chosen]));
            errors.iter_mut().zip(&rows).for_each(nearer);
            chosen
        };
        (0..wanted).map(draw).collect()
    }

    /// Makes the embeddings the means of what falls to them.
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

/// The squared distance, in sums side by side, which a processor adds at once.
fn distance(x: &[f32], y: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (x, y) in x.iter().zip(y) {
        (0..LANES).for_each(|i| sums[i] += (x[i] - y[i]) * (x[i] - y[i]));
    }
    let rest = x_rest.iter().zip(y_rest).map(|(x, y)| (x - y) * (x - y));
    sums.into_iter().chain(rest).sum()
}

/// The codebooks of all depths, in training.
#[derive(Clone, Debug, PartialEq)]
pub struct MovingCodebooks {
    /// One, or one a depth.
    pub each: Vec<MovingCodebook>,
    depth: usize,
}

/// What quantizing a batch has given.
pub struct Assigned {
    /// Codes `[D][N]`.
    pub codes: Vec<Vec<usize>>,
    /// Sums of the embeddings of codes `0..=d`, `[N, C]` for each depth.
    pub partial_sums: Vec<Tensor<2>>,
}

impl MovingCodebooks {
    /// One codebook for all of `depth` depths, or one for each.
    pub fn new(each: Vec<MovingCodebook>, depth: usize) -> Self {
        Self { each, depth }
    }

    /// The codebook of depth `d`.
    pub fn of(&self, d: usize) -> &MovingCodebook {
        &self.each[d.min(self.each.len() - 1)]
    }

    /// Moves all numbers towards those of `other`: `decay` of what they were, the rest of the other's.
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

    /// Quantizes `latents` `[N, C]`, which gradients do not pass, and moves the codebooks as `moving` says.
    pub fn quantize(&mut self, latents: Tensor<2>, moving: &Moving) -> Assigned {
        let device = latents.device();
        let mut residual = latents;
        let mut assigned = Assigned { codes: Vec::new(), partial_sums: Vec::new() };
        for d in 0..self.depth {
            let index = d.min(self.each.len() - 1);
            let numbers = values(residual.clone());
            let moved = &mut self.each[index];
            let restart = moving.restart.as_ref();
            if let Some(restart) = restart.filter(|restart| restart.by_error && moved.is_new()) {
                let codes = indices(moved.on(&device).nearest(residual.clone()));
                moved.restart(&numbers, &codes, restart, d);
                moved.settle();
            }
            let codebook = moved.on(&device);
            let codes = codebook.nearest(residual.clone());
            let embeddings = codebook.embed(codes.clone());
            let codes = indices(codes);
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
    use crate::testing::tensor;

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

    /// Codes that everything falls to become the mean of what does.
    #[test]
    fn codes_come_to_rest_at_the_means() {
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

    /// Where all latents are alike there is nothing to gain by more than one code: the others go to where they differ.
    #[test]
    fn restarts_by_error_go_to_what_is_badly_told() {
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

    /// No code is placed at what is blank, and one moves there by itself; the others have fewer latents than there are codes.
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

    /// What the first depth leaves is told apart by the second, though that is placed once only.
    #[test]
    fn new_codebooks_are_placed_depth_by_depth() {
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

    /// A depth of which the threshold is small is seeded, and left alone from then on; of which it is none, not seeded.
    #[test]
    fn a_small_threshold_seeds_and_hardly_restarts() {
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
    fn fewer_latents_than_codes_are_spread() {
        let mut books = codebooks(false);
        let latents = tensor([5, 4], 1, &Device::flex());
        books.quantize(latents, &moving(true));
        for book in &books.each {
            let rows: Vec<&[f32]> = book.weight.chunks(4).collect();
            assert!((0..16).all(|i| (0..i).all(|j| rows[i] != rows[j])));
        }
    }
}
