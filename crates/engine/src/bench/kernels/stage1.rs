//! The kernels of stage 1 and the matrix product, at the shapes of the FFHQ model.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Case, Make, Work, work};
use residua_core::config::preset::Preset;
use residua_core::error::Result;
use residua_kernels::embed::{self, Lookup};
use residua_kernels::quantize::{self, Codebook, Codebooks};
use residua_kernels::{Resample, conv2d, group_norm, matmul, noise};
use residua_model::{Loader, RqVae};

/// A convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layer {
    resample: Resample,
    /// Size of the kernel.
    kernel: usize,
    /// Channels in and out.
    channels: [usize; 2],
    /// Rows and columns of the input.
    side: usize,
}

/// Two of the encoder: one from a picture's channels, one to half the size.
const ENCODER: [Layer; 2] = [
    Layer { resample: Resample::Same, kernel: 3, channels: [3, 128], side: 256 },
    Layer { resample: Resample::Down, kernel: 3, channels: [128, 128], side: 128 },
];

/// Channels, and rows or columns.
const GROUP_NORMS: [(usize, usize); 3] = [(512, 8), (256, 64), (128, 128)];

/// Cells, codebook size and channels of the published models, whose cells have four codes: one row of cells,
/// one picture, and four.
const QUANTIZATIONS: [(usize, usize, usize); 4] =
    [(8, 16_384, 256), (64, 2048, 256), (64, 16_384, 256), (256, 16_384, 256)];

/// A matrix product.
#[derive(Clone, Copy)]
struct Product {
    batch: usize,
    /// Rows, summed products and columns.
    shape: [usize; 3],
    /// True if the right-hand side is transposed in memory, false if the left-hand side is.
    right: bool,
}

/// Attention at 16x16 cells of 512 channels, its scores and its values, of one picture and of four; 64 rows
/// of a transformer's widest layer.
const PRODUCTS: [Product; 5] = [
    Product { batch: 1, shape: [256, 512, 256], right: false },
    Product { batch: 4, shape: [256, 512, 256], right: false },
    Product { batch: 1, shape: [512, 256, 256], right: true },
    Product { batch: 4, shape: [512, 256, 256], right: true },
    Product { batch: 1, shape: [64, 1536, 6144], right: true },
];

/// Codes in a cell.
const DEPTH: usize = 4;

/// The distinct convolutions of the FFHQ decoder, each with its count in one pass; some of the encoder; group
/// norms.
pub fn cases(device: &Device) -> Result<Vec<Make<'_>>> {
    let mut cases: Vec<Make> = Vec::new();
    for (layer, count) in decoder_layers()? {
        cases.push(Box::new(move || Case { count, ..convolution(layer, device) }));
    }
    for layer in ENCODER {
        cases.push(Box::new(move || convolution(layer, device)));
    }
    for (channels, side) in GROUP_NORMS {
        cases.push(Box::new(move || normalization(channels, side, device)));
    }
    for shape in PRODUCTS {
        cases.push(Box::new(move || product(shape, device)));
    }
    for (cells, codes, channels) in QUANTIZATIONS {
        cases.push(Box::new(move || quantization(cells, codes, channels, device)));
    }
    for cells in [1, 64] {
        cases.push(Box::new(move || embedding(cells, device)));
    }
    Ok(cases)
}

/// The convolutions of the FFHQ decoder and how often each occurs in a pass, from the names and shapes of its
/// weights.
fn decoder_layers() -> Result<Vec<(Layer, usize)>> {
    let config = Preset::find("ffhq-355m")?.rqvae()?;
    let mut loader = Loader::plan(&residua_kernels::device::cpu());
    RqVae::load(&mut loader, &config)?;
    let coarsest = config.ddconfig.ch_mult.len() - 1;
    let mut layers: Vec<(Layer, usize)> = Vec::new();
    for parameter in loader.finish()? {
        let (Some(place), &[to, from, kernel, _]) =
            (parameter.name.strip_prefix("decoder."), &parameter.shape[..])
        else {
            continue;
        };
        let of_level = place.strip_prefix("up.").and_then(|rest| rest.split('.').next()?.parse().ok());
        let level = of_level.unwrap_or(if place.starts_with("conv_out") { 0 } else { coarsest });
        let resample = if place.contains(".upsample.") { Resample::Up } else { Resample::Same };
        // A level's last convolution doubles its size.
        let side = config.ddconfig.side(level);
        let layer = Layer { resample, kernel, channels: [from, to], side };
        match layers.iter_mut().find(|(known, _)| *known == layer) {
            Some((_, count)) => *count += 1,
            None => layers.push((layer, 1)),
        }
    }
    Ok(layers)
}

fn convolution(layer: Layer, device: &Device) -> Case {
    let Layer { resample, kernel, channels: [from, to], side } = layer;
    let x = noise([1, from, side, side], 1, device);
    let (weight, bias) = (noise([to, from, kernel, kernel], 2, device), noise([to], 3, device));
    let out = resample.size(side);
    let ways = [conv2d::conv2d, conv2d::composed].map(|way| -> Work {
        let (x, weight, bias) = (x.clone(), weight.clone(), bias.clone());
        work(move || way(x.clone(), &weight, &bias, resample))
    });
    let shape = format!("{resample:?} {kernel}x{kernel} {from}->{to} at {side}x{side}");
    Case::computing("conv2d", shape, 2 * from * to * kernel * kernel * out * out, ways)
}

fn normalization(channels: usize, side: usize, device: &Device) -> Case {
    let x = noise([1, channels, side, side], 1, device);
    let (gamma, beta) = (noise([channels], 2, device), noise([channels], 3, device));
    let ways = [group_norm::group_norm, group_norm::composed].map(|way| -> Work {
        let (x, gamma, beta) = (x.clone(), gamma.clone(), beta.clone());
        work(move || way(x.clone(), &gamma, &beta, 32, 1e-6, true))
    });
    // The input is read twice, for its statistics and for normalizing, and the result is written.
    let bytes = 3 * channels * side * side * size_of::<f32>();
    Case::reading("group_norm_silu", format!("{channels} at {side}x{side}"), bytes, ways)
}

fn product(product: Product, device: &Device) -> Case {
    let Product { batch, shape: [rows, inner, columns], right } = product;
    let side = |rows, columns, turned, seed| -> Tensor<3> {
        if turned {
            noise([batch, columns, rows], seed, device).swap_dims(1, 2)
        } else {
            noise([batch, rows, columns], seed, device)
        }
    };
    let (a, b) = (side(rows, inner, !right, 1), side(inner, columns, right, 2));
    let ways = [matmul::matmul, matmul::composed].map(|way| -> Work {
        let (a, b) = (a.clone(), b.clone());
        work(move || way(a.clone(), b.clone()))
    });
    let shape = format!("{batch} of {rows}x{inner} by {inner}x{columns}");
    Case::computing("matmul", shape, 2 * batch * rows * inner * columns, ways)
}

fn quantization(cells: usize, codes: usize, channels: usize, device: &Device) -> Case {
    let latents: Tensor<2> = noise([cells, channels], 1, device);
    let codebooks = Codebooks::shared(Codebook::new(noise([codes, channels], 2, device)), DEPTH);
    let ways = [quantize::residual_quantize, quantize::composed].map(|way| -> Work {
        let (latents, codebooks) = (latents.clone(), codebooks.clone());
        work(move || way(latents.clone(), &codebooks).partial_sums)
    });
    let shape = format!("{cells} x {channels}, {DEPTH} of {codes}");
    Case::computing("residual_quantize", shape, 2 * DEPTH * cells * codes * channels, ways)
}

fn embedding(cells: usize, device: &Device) -> Case {
    const CODES: usize = 16_384;
    const CHANNELS: usize = 256;
    let codebooks = Codebooks::shared(Codebook::new(noise([CODES, CHANNELS], 1, device)), DEPTH);
    let values = (0..cells * DEPTH).map(|i| (i * 7919 % CODES) as i32).collect::<Vec<_>>();
    let codes: Tensor<2, Int> = Tensor::from_data(TensorData::new(values, [cells, DEPTH]), device);
    let ways = [embed::embed_codes, embed::composed].map(|way| -> Work {
        let (codes, codebooks) = (codes.clone(), codebooks.clone());
        let lookup = Lookup::first(DEPTH, embed::Reading::Sum);
        work(move || way(codes.clone(), codebooks.table(), lookup, None))
    });
    let bytes = (DEPTH + 1) * cells * CHANNELS * size_of::<f32>();
    Case::reading("embed_codes", format!("{cells} x {DEPTH} of {CHANNELS}"), bytes, ways)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted by hand from the published configuration: two residual blocks around attention in the middle,
    /// three in each of six levels, a 1x1 convolution where channels change, attention in the second coarsest
    /// level.
    #[test]
    fn a_pass_of_the_ffhq_decoder_has_all_its_convolutions() {
        let layers = decoder_layers().unwrap();
        let count = |keep: &dyn Fn(&Layer) -> bool| -> usize {
            layers.iter().filter(|(layer, _)| keep(layer)).map(|(_, count)| count).sum()
        };
        let blocks = 2 + 6 * 3;
        assert_eq!(count(&|layer| layer.resample == Resample::Up), 5);
        assert_eq!(count(&|layer| layer.kernel == 3), 2 + 2 * blocks + 5);
        assert_eq!(count(&|layer| layer.kernel == 1), 2 + 4 * (1 + 3));
        let has = |channels, side, count| {
            let layer = Layer { resample: Resample::Same, kernel: 3, channels, side };
            assert!(layers.contains(&(layer, count)), "{layer:?} in {layers:?}");
        };
        has([256, 512], 8, 1);
        has([128, 128], 256, 6);
        has([128, 3], 256, 1);
    }
}
