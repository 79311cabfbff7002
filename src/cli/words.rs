//! The words that options accept, each with its value and its help.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use residua_core::config::{Precision, StateKind};
use residua_core::sampling::morph::MorphOrder;
use residua_engine::start::GpuKernels;
use residua_kernels::device::DeviceChoice;
use residua_train::data::Split;
use residua_weights::Dtype;

/// A word, its value and its help.
pub type Word<T> = (&'static str, T, &'static str);

/// `--device`
pub const DEVICES: &[Word<DeviceChoice>] = &[
    (
        "auto",
        DeviceChoice::Auto,
        "A hardware GPU if there is one and it is faster than the CPU in a short trial, else the CPU",
    ),
    ("cpu", DeviceChoice::Cpu, "The CPU, with Burn's `flex` backend and our own kernels"),
    ("gpu", DeviceChoice::Gpu, "A GPU, or a software rasterizer if there is no GPU"),
];

/// `--gpu-kernels`
pub const GPU_KERNELS: &[Word<GpuKernels>] = &[
    ("on", GpuKernels::On, "The hand-written kernels, except those that are wrong on this GPU"),
    ("off", GpuKernels::Off, "Only Burn's own operations"),
];

/// `--weights`
pub const WEIGHTS: &[Word<StateKind>] = &[
    ("auto", StateKind::Auto, "The trained weights; the moving average if the file has nothing else"),
    ("state", StateKind::State, "The trained weights"),
    ("ema", StateKind::Ema, "The moving average"),
];

/// `--precision`
pub const PRECISIONS: &[Word<Precision>] = &[
    ("stored", Precision::Stored, "As in the file"),
    (
        "f16",
        Precision::F16,
        "Half precision: half the memory of f32 and twice the decoding speed; values differ in the fourth digit",
    ),
    (
        "q8",
        Precision::Q8,
        "Eight bits per weight and a scale for every 32: little more than a quarter of the memory of f32; \
         values differ in the third digit",
    ),
];

/// `--dtype`
pub const DTYPES: &[Word<Dtype>] =
    &[("f32", Dtype::F32, "Single precision"), ("f16", Dtype::F16, "Half precision: half the size")];

/// `--split`
pub const SPLITS: &[Word<Split>] = &[
    ("train", Split::Train, "Pictures to learn from"),
    (
        "held-out",
        Split::HeldOut,
        "Held-out pictures: those in val_list.txt, or else those whose name's hash is a multiple of 16",
    ),
    ("all", Split::All, "All pictures"),
];

/// `--order`
pub const ORDERS: &[Word<MorphOrder>] = &[
    ("distance", MorphOrder::Distance, "From the middle outward"),
    ("raster", MorphOrder::Raster, "Row by row"),
    ("random", MorphOrder::Random, "At random"),
];

/// A parser that accepts only `words`.
pub fn one_of<T: Clone + Send + Sync>(words: &'static [Word<T>]) -> impl TypedValueParser<Value = T> {
    let listed = words.iter().map(|(name, _, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(listed).map(|given| {
        let (_, value, _) =
            words.iter().find(|(name, ..)| *name == given).expect("the parser accepts no others");
        value.clone()
    })
}
