//! The Python names that a pickle may mention: those with a meaning here, those passed over, and none else.

use super::tensor::Dtype;
use crate::error::{Error, Result};

/// A callable that the machine knows by name and imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    Dict,
    /// A function that makes a tensor of a storage.
    Tensor,
    /// A function that makes a parameter of a tensor.
    Parameter,
    /// A storage's class.
    Storage(Dtype),
    /// A class of a TorchScript program, whose code is elsewhere in the file and not looked at.
    Module,
}

/// The package of all classes that a TorchScript program brings along.
const TORCH_SCRIPT: &str = "__torch__";

/// Packages whose classes hold data: such objects are passed over. Any other global is an error, by name.
const DATA_PACKAGES: &[&str] = &[
    "torch",
    "collections",
    "numpy",
    "argparse",
    "omegaconf",
    "easydict",
    "yacs",
    "rqvae",
    "pathlib",
    "datetime",
    "enum",
    "typing",
    "_codecs",
    "copyreg",
    "copy_reg",
];
/// The built-in types among the globals that are passed over; `eval` and its like are not.
const DATA_BUILTINS: &[&str] = &[
    "object",
    "bool",
    "int",
    "float",
    "complex",
    "str",
    "bytes",
    "bytearray",
    "tuple",
    "list",
    "dict",
    "set",
    "frozenset",
    "slice",
    "range",
];
/// The globals that mean something here.
const GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::Dict),
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch._utils", "_rebuild_parameter_with_state", Global::Parameter),
    ("torch", "DoubleStorage", Global::Storage(Dtype::F64)),
    ("torch", "FloatStorage", Global::Storage(Dtype::F32)),
    ("torch", "HalfStorage", Global::Storage(Dtype::F16)),
    ("torch", "BFloat16Storage", Global::Storage(Dtype::BF16)),
    ("torch", "LongStorage", Global::Storage(Dtype::I64)),
    ("torch", "IntStorage", Global::Storage(Dtype::I32)),
    ("torch", "ShortStorage", Global::Storage(Dtype::I16)),
    ("torch", "CharStorage", Global::Storage(Dtype::I8)),
    ("torch", "ByteStorage", Global::Storage(Dtype::U8)),
    ("torch", "BoolStorage", Global::Storage(Dtype::Bool)),
];

/// What `module.name` means; `None` if it is a kind of data that is passed over.
///
/// # Errors
/// [`Error::Invalid`] with the name, if it is anything else. Nothing would be run in any case: a pickle that
/// mentions such a name is either an attack or no weight file.
pub fn resolve(module: &str, name: &str) -> Result<Option<Global>> {
    if let Some((.., global)) = GLOBALS.iter().find(|known| (known.0, known.1) == (module, name)) {
        return Ok(Some(*global));
    }
    let package = module.split('.').next().unwrap_or_default();
    if package == TORCH_SCRIPT {
        return Ok(Some(Global::Module));
    }
    let is_data = match module {
        "builtins" | "__builtin__" => DATA_BUILTINS.contains(&name),
        _ => DATA_PACKAGES.contains(&package),
    };
    if is_data {
        return Ok(None);
    }
    Err(Error::invalid(format!(
        "the pickle wants to call {}.{}; nothing was run: re-save only the weights if you trust the file",
        shown(module),
        shown(name)
    )))
}

/// A name from the file, made fit for a one-line message.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}
