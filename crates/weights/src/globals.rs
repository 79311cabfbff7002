//! The Python names in a pickle: those with a meaning here, those that are refused, and all others, which are
//! ignored.

use super::tensor::Dtype;
use residua_core::error::{Error, Result};

/// A callable that the machine knows by name and emulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    Dict,
    /// A function that builds a tensor from a storage.
    Tensor,
    /// A function that builds a parameter from a tensor.
    Parameter,
    /// A function that calls one of the other two, and makes the result a tensor of a subclass or with attributes.
    Subclass,
    /// A storage class.
    Storage(Dtype),
    /// A class of a TorchScript program. Its code is elsewhere in the file and is ignored.
    Module,
}

/// The package of all classes in a TorchScript program.
const TORCH_SCRIPT: &str = "__torch__";

/// Packages of Python's standard library that run, open or load something; weights have no reason to mention
/// them. Objects from other packages are ignored: torch, Lightning, omegaconf, the user's own, and so on.
const ACTING_PACKAGES: &[&str] = &[
    "",
    "_io",
    "_operator",
    "_pickle",
    "_posixsubprocess",
    "_thread",
    "asyncio",
    "bdb",
    "cProfile",
    "code",
    "codeop",
    "commands",
    "compileall",
    "ctypes",
    "doctest",
    "ftplib",
    "gc",
    "http",
    "httplib",
    "imp",
    "importlib",
    "inspect",
    "io",
    "linecache",
    "marshal",
    "multiprocessing",
    "nt",
    "operator",
    "os",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "platform",
    "popen2",
    "posix",
    "profile",
    "pty",
    "pydoc",
    "runpy",
    "shelve",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "timeit",
    "trace",
    "urllib",
    "urllib2",
    "webbrowser",
    "xmlrpc",
    "zipimport",
];
/// Names in these packages that only hold or name data, and so are ignored, too: buffers, enumerations, the
/// description of a machine, and the parts of a signature. `getattr` is how Python 3.12 writes a member of an
/// enumeration: whatever it could reach something harmful through is refused by its own name.
const DATA_OF_ACTING: &[(&str, &str)] = &[
    ("_io", "BytesIO"),
    ("_io", "StringIO"),
    ("io", "BytesIO"),
    ("io", "StringIO"),
    ("operator", "attrgetter"),
    ("_operator", "attrgetter"),
    ("operator", "itemgetter"),
    ("_operator", "itemgetter"),
    ("platform", "uname_result"),
    ("signal", "Signals"),
    ("signal", "Handlers"),
    ("inspect", "_empty"),
    ("inspect", "_ParameterKind"),
    ("inspect", "Parameter"),
    ("inspect", "Signature"),
    ("builtins", "getattr"),
    ("__builtin__", "getattr"),
];
/// The built-in types that are ignored, under their names in Python 3 and in Python 2, which protocol 2
/// writes; `eval` and the like are not among them.
const DATA_BUILTINS: &[&str] = &[
    "object",
    "bool",
    "int",
    "long",
    "float",
    "complex",
    "str",
    "unicode",
    "basestring",
    "bytes",
    "bytearray",
    "tuple",
    "list",
    "dict",
    "set",
    "frozenset",
    "slice",
    "range",
    "xrange",
    "Ellipsis",
    "NotImplemented",
];
/// The globals with a meaning here.
const GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::Dict),
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v3", Global::Tensor),
    ("torch._utils", "_rebuild_qtensor", Global::Tensor),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch._utils", "_rebuild_parameter_with_state", Global::Parameter),
    ("torch._tensor", "_rebuild_from_type", Global::Subclass),
    ("torch._tensor", "_rebuild_from_type_v2", Global::Subclass),
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
    ("torch", "ComplexDoubleStorage", Global::Storage(Dtype::Other("complex128", 16))),
    ("torch", "ComplexFloatStorage", Global::Storage(Dtype::Other("complex64", 8))),
    ("torch", "QInt32Storage", Global::Storage(Dtype::Other("qint32", 4))),
    ("torch", "QInt8Storage", Global::Storage(Dtype::Other("qint8", 1))),
    ("torch", "QUInt8Storage", Global::Storage(Dtype::Other("quint8", 1))),
    ("torch", "QUInt4x2Storage", Global::Storage(Dtype::Other("quint4x2", 1))),
    ("torch", "QUInt2x4Storage", Global::Storage(Dtype::Other("quint2x4", 1))),
    ("torch.storage", "UntypedStorage", Global::Storage(Dtype::Other("bytes", 1))),
];

/// The meaning of `module.name`; `None` if it is ignored.
///
/// # Errors
/// [`Error::Invalid`] with the name, if it runs, opens or loads something. Nothing would run in any case: a
/// pickle that mentions such a name is either an attack or not a weight file.
pub fn resolve(module: &str, name: &str) -> Result<Option<Global>> {
    if let Some((.., global)) = GLOBALS.iter().find(|known| (known.0, known.1) == (module, name)) {
        return Ok(Some(*global));
    }
    let package = module.split('.').next().unwrap_or_default();
    if package == TORCH_SCRIPT {
        return Ok(Some(Global::Module));
    }
    let is_data = match module {
        _ if DATA_OF_ACTING.contains(&(module, name)) => true,
        "builtins" | "__builtin__" => DATA_BUILTINS.contains(&name),
        _ => package != "builtins" && package != "__builtin__" && !ACTING_PACKAGES.contains(&package),
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

/// A name from the file, made safe for a one-line message.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}
