//! The published implementation's outputs, by name.

use std::path::Path;

use residua_core::codes::CodeStack;
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_weights::WeightFile;

/// `golden.safetensors`.
pub struct Golden {
    file: WeightFile,
    path: String,
}

impl Golden {
    /// Opens the file. Every output must have values: a comparison with none would succeed.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, path) = (WeightFile::open(path, StateKind::Auto)?, path.display().to_string());
        match file.tensors().iter().find(|info| info.shape.contains(&0)) {
            None => Ok(Self { file, path }),
            Some(info) => Err(Error::invalid(format!(
                "{path}: expected values in {}, found none: its shape is {:?}",
                info.name, info.shape
            ))),
        }
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.file.tensors().iter().map(|info| info.name.as_str())
    }

    /// True if there is an output called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.file.get(name).is_some()
    }

    /// The shape of `name`.
    pub fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let info = self
            .file
            .get(name)
            .ok_or_else(|| Error::invalid(format!("{}: expected {name}, found no such tensor", self.path)))?;
        info.shape.clone().try_into().map_err(|shape: Vec<usize>| {
            Error::invalid(format!("{}: expected {name} of {D} dimensions, found {shape:?}", self.path))
        })
    }

    /// Refuses a `name` of another shape than `expected`.
    pub fn check<const D: usize>(&self, name: &str, expected: [usize; D]) -> Result<()> {
        let found: [usize; D] = self.shape(name)?;
        if found == expected {
            return Ok(());
        }
        Err(Error::invalid(format!("{}: expected {name} of shape {expected:?}, found {found:?}", self.path)))
    }

    /// The values of `name`.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.file.read_f32(name)
    }

    /// The whole numbers of `name`, below 2^24, which f32 holds exactly.
    pub fn numbers(&self, name: &str) -> Result<Vec<u32>> {
        let values = self.values(name)?;
        values
            .into_iter()
            .map(|x| {
                let whole = x >= 0.0 && x < (1 << 24) as f32 && x.fract() == 0.0;
                whole.then_some(x as u32).ok_or_else(|| {
                    Error::invalid(format!("{}: expected codes in {name}, found {x}", self.path))
                })
            })
            .collect()
    }

    /// Code stacks `[B, h, w, D]`.
    pub fn stacks(&self, name: &str) -> Result<Vec<CodeStack>> {
        let [_, h, w, depth] = self.shape(name)?;
        let codes = self.numbers(name)?;
        codes.chunks(h * w * depth).map(|codes| CodeStack::new(h, w, depth, codes.to_vec())).collect()
    }
}
