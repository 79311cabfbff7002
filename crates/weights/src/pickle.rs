//! The values in a pickle that matter for weights. Reading a pickle builds plain values and runs nothing.
//!
//! Values are in one list and refer to each other by index, so neither deep nor circular ones can overflow
//! the call stack.

use super::globals::Global;
use super::machine::Machine;
use super::tensor::Dtype;
use residua_core::error::{Error, Result};

/// Far above any real checkpoint's pickle: that of a model with 4 billion weights is about 300 KB.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// A value's index in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub(super) u32);

/// The elements that a tensor views: one file in the checkpoint's zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage<'a> {
    /// The file's name below `data/`.
    pub key: &'a str,
    /// The element type.
    pub dtype: Dtype,
    /// The element count that the pickle claims.
    pub elements: u64,
}

/// A view of a storage. All numbers are as claimed by the pickle and not checked against the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// The viewed storage.
    pub storage: Storage<'a>,
    /// The first element's index in the storage.
    pub offset: u64,
    /// Elements along each dimension.
    pub shape: Vec<usize>,
    /// Strides in the storage, in elements, one for each dimension.
    pub strides: Vec<usize>,
}

/// A value in a pickle.
#[derive(Debug)]
pub enum Value<'a> {
    /// Anything else: a flag, a float, an object of an unknown class.
    Opaque,
    /// An integer.
    Int(i64),
    /// Text, borrowed from the pickle.
    Str(&'a str),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary's pairs in the order written; the last of several equal keys wins.
    Dict(Vec<(Id, Id)>),
    /// A known callable.
    Global(Global),
    /// A storage.
    Storage(Box<Storage<'a>>),
    /// A tensor.
    Tensor(Box<Tensor<'a>>),
    /// A module of a TorchScript program: the id of its attribute dictionary.
    Module(Id),
}

/// The values of a pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle in `bytes`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is damaged, larger than any checkpoint's, refers to something that runs,
    /// opens or loads things (named in the message), or uses opcodes that `torch.save` does not.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            let found = bytes.len();
            return Err(Error::invalid(format!(
                "expected a pickle of at most {MAX_BYTES} bytes, found {found}"
            )));
        }
        Self::parse_first(bytes).map(|(pickle, _)| pickle)
    }

    /// Reads the pickle at the start of `bytes`, and returns its length too.
    ///
    /// # Errors
    /// Those of [`Pickle::parse`].
    pub(super) fn parse_first(bytes: &'a [u8]) -> Result<(Self, usize)> {
        let (values, root, len) = Machine::new(bytes).run()?;
        Ok((Self { values, root }, len))
    }

    /// All storages in the pickle.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.values
            .iter()
            .filter_map(|value| if let Value::Storage(storage) = value { Some(&**storage) } else { None })
    }

    /// All strings in the pickle, in the order written.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter_map(|value| if let Value::Str(text) = value { Some(*text) } else { None })
    }

    /// The value of the whole pickle.
    pub fn root(&self) -> &Value<'a> {
        self.value(self.root)
    }

    /// The value at `id`.
    pub fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    /// The value of the string `key` in the dictionary `dict`; `None` also if `dict` is not a dictionary.
    pub fn lookup(&self, dict: &Value<'a>, key: &str) -> Option<&Value<'a>> {
        let Value::Dict(pairs) = dict else { return None };
        let is_key = |id| matches!(self.value(id), Value::Str(text) if *text == key);
        pairs.iter().rev().find(|pair| is_key(pair.0)).map(|pair| self.value(pair.1))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn int(number: i64) -> Vec<u8> {
        [&[0x8a, 8][..], &number.to_le_bytes()].concat()
    }

    pub fn text(text: &str) -> Vec<u8> {
        [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
    }

    pub fn global(module: &str, name: &str) -> Vec<u8> {
        format!("c{module}\n{name}\n").into_bytes()
    }

    pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
        [b"(", &items.concat()[..], b"t"].concat()
    }

    pub fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let items: Vec<u8> =
            pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
        [b"}(", &items[..], b"u"].concat()
    }

    pub fn storage(class: &str, key: &str, elements: i64) -> Vec<u8> {
        let parts = [text("storage"), global("torch", class), text(key), text("cpu"), int(elements)];
        [&tuple(&parts)[..], b"Q"].concat()
    }

    pub fn tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
        let ints = |numbers: &[i64]| tuple(&numbers.iter().map(|&number| int(number)).collect::<Vec<_>>());
        let arguments =
            tuple(&[storage, int(offset), ints(shape), ints(strides), b"\x89".into(), b"N".into()]);
        [global("torch._utils", "_rebuild_tensor_v2"), arguments, b"R".into()].concat()
    }

    pub fn pickled(value: &[u8]) -> Vec<u8> {
        [b"\x80\x02", value, b"."].concat()
    }

    fn message(pickle: &[u8]) -> String {
        Pickle::parse(pickle).unwrap_err().to_string()
    }

    #[test]
    fn a_tensor_is_described() {
        let bytes = pickled(&dict(&[("w", tensor(storage("HalfStorage", "5", 9), 1, &[2, 3], &[1, 2]))]));
        let pickle = Pickle::parse(&bytes).unwrap();
        let Some(Value::Tensor(found)) = pickle.lookup(pickle.root(), "w") else { panic!("{pickle:?}") };
        let storage = Storage { key: "5", dtype: Dtype::F16, elements: 9 };
        assert_eq!(**found, Tensor { storage, offset: 1, shape: vec![2, 3], strides: vec![1, 2] });
        assert!(pickle.lookup(pickle.root(), "v").is_none());
    }

    /// As torch.save writes a tensor with attributes, or of a subclass.
    #[test]
    fn a_tensor_may_be_of_a_subclass() {
        let ints = |numbers: [i64; 2]| tuple(&numbers.map(int));
        let arguments = tuple(&[storage("FloatStorage", "5", 6), int(0), ints([2, 3]), ints([3, 1])]);
        let storage = Storage { key: "5", dtype: Dtype::F32, elements: 6 };
        let expected = Tensor { storage, offset: 0, shape: vec![2, 3], strides: vec![3, 1] };
        for name in ["_rebuild_from_type", "_rebuild_from_type_v2"] {
            let rebuilt = |inner: Vec<u8>| {
                let all = [inner, global("my_project", "Weight"), arguments.clone(), b"}".to_vec()];
                pickled(&[global("torch._tensor", name), tuple(&all), b"R".to_vec()].concat())
            };
            let bytes = rebuilt(global("torch._utils", "_rebuild_tensor_v2"));
            let pickle = Pickle::parse(&bytes).unwrap();
            assert!(matches!(pickle.root(), Value::Tensor(found) if **found == expected), "{pickle:?}");
            // Of itself.
            let bytes = rebuilt(global("torch._tensor", name));
            assert!(matches!(Pickle::parse(&bytes).unwrap().root(), Value::Opaque));
        }
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let bytes = pickled(&dict(&[("w", int(1)), ("w", int(2))]));
        let pickle = Pickle::parse(&bytes).unwrap();
        assert!(matches!(pickle.lookup(pickle.root(), "w"), Some(Value::Int(2))));
    }

    #[test]
    fn calls_are_refused_by_name_however_they_are_written() {
        let command = tuple(&[text("touch /tmp/x")]);
        let call = |module, name| pickled(&[&global(module, name)[..], &command, b"R"].concat());
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("nt", "system"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("builtins", "exec"),
            ("__builtin__", "__import__"),
            ("__builtin__", "long.__subclasses__"),
            ("builtins.x", "int"),
            ("_operator", "methodcaller"),
            ("_io", "FileIO"),
            ("io", "open"),
            ("platform", "popen"),
            ("signal", "signal"),
            ("inspect", "getsource"),
            ("", ""),
        ] {
            let expected = format!("the pickle wants to call {module}.{name}; nothing was run");
            assert!(message(&call(module, name)).contains(&expected), "{}", message(&call(module, name)));
        }
        let on_stack = [text("os"), text("system"), b"\x93".into(), command, b"R".into()].concat();
        assert!(message(&pickled(&on_stack)).contains("wants to call os.system"));
        let hidden = pickled(&global("os.o\u{7}s\u{1b}[2J", "system"));
        assert!(message(&hidden).contains("os.o?s?[2J.system"), "{}", message(&hidden));
    }

    #[test]
    fn objects_of_data_classes_are_ignored() {
        let object = |module, name| [&global(module, name)[..], b")R}(X\x01\0\0\0aK\x01ub"].concat();
        for (module, name) in [
            ("argparse", "Namespace"),
            ("omegaconf.dictconfig", "DictConfig"),
            ("numpy.core.multiarray", "scalar"),
            ("builtins", "set"),
            ("torch.optim.lr_scheduler", "StepLR"),
            ("collections", "Counter"),
            // Protocol 2 uses Python 2's names for the types of Python 3.
            ("__builtin__", "long"),
            ("__builtin__", "unicode"),
            ("__builtin__", "xrange"),
            ("types", "SimpleNamespace"),
            ("decimal", "Decimal"),
            ("re", "_compile"),
            ("functools", "partial"),
            ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
            ("my_project.training", "Config"),
            ("_io", "BytesIO"),
            ("operator", "attrgetter"),
            ("platform", "uname_result"),
            ("signal", "Signals"),
            ("inspect", "_empty"),
        ] {
            let bytes = pickled(&object(module, name));
            assert!(matches!(Pickle::parse(&bytes).unwrap().root(), Value::Opaque), "{module}.{name}");
        }
    }

    /// `defaultdict(int, w=..)`, an object of a class of the user's, and one whose items come in two batches.
    #[test]
    fn a_dictionary_may_be_of_any_class() {
        let int = [&global("collections", "defaultdict")[..], &global("builtins", "int"), b"\x85R"].concat();
        let own = [&global("easydict", "EasyDict")[..], b")\x81q\x00"].concat();
        let weight = |name| [text(name), tensor(storage("FloatStorage", "0", 1), 0, &[1], &[1])].concat();
        for object in [int, own] {
            let items = [b"(", &weight("v")[..], b"u(", &weight("w"), b"u", &weight("x"), b"s}b"].concat();
            let bytes = pickled(&[object, items].concat());
            let pickle = Pickle::parse(&bytes).unwrap();
            for name in ["v", "w", "x"] {
                assert!(matches!(pickle.lookup(pickle.root(), name), Some(Value::Tensor(_))), "{pickle:?}");
            }
        }
    }

    /// Bytes that Python 2 wrote as text, and the lone surrogate of a name that is not Unicode.
    #[test]
    fn what_is_no_text_is_ignored() {
        for text in [&b"U\x02\xff\x80"[..], b"X\x03\0\0\0\xed\xb3\xbf"] {
            let bytes = pickled(text);
            assert!(matches!(Pickle::parse(&bytes).unwrap().root(), Value::Opaque), "{text:?}");
        }
    }

    /// As Python 3.12 writes a member of an enumeration.
    #[test]
    fn an_attribute_is_ignored_and_what_it_could_lead_to_refused() {
        let member = |module, name, attribute| {
            let arguments = tuple(&[global(module, name), text(attribute)]);
            pickled(&[&global("builtins", "getattr")[..], &arguments, b"R"].concat())
        };
        let bytes = member("my_project", "Colour", "RED");
        assert!(matches!(Pickle::parse(&bytes).unwrap().root(), Value::Opaque));
        // Nor is a tensor made of it.
        let bytes = member("torch._utils", "_rebuild_tensor_v2", "__call__");
        assert!(matches!(Pickle::parse(&bytes).unwrap().root(), Value::Opaque));
        for module in ["os", "posix", "subprocess", "builtins"] {
            let error = message(&member(module, "eval", "x"));
            assert!(error.contains(&format!("wants to call {module}.eval; nothing was run")), "{error}");
        }
    }

    #[test]
    fn tensors_that_cannot_be_weights_are_ignored() {
        let nine = [1; 9];
        for odd in [
            tensor(int(1), 0, &[1], &[1]),
            tensor(storage("NoStorage", "0", 1), 0, &[1], &[1]),
            tensor(storage("FloatStorage", "0", 1), -1, &[1], &[1]),
            tensor(storage("FloatStorage", "0", 1), 0, &[1], &[1, 1]),
            tensor(storage("FloatStorage", "0", 1), 0, &[-1], &[1]),
            tensor(storage("FloatStorage", "0", -1), 0, &[1], &[1]),
            tensor(storage("FloatStorage", "0", 1), 0, &nine, &nine),
        ] {
            assert!(matches!(Pickle::parse(&pickled(&odd)).unwrap().root(), Value::Opaque));
        }
    }

    #[test]
    fn deep_and_circular_values_are_harmless() {
        let deep = [&b")"[..], &b"\x85".repeat(1_000_000)].concat();
        assert!(matches!(Pickle::parse(&pickled(&deep)).unwrap().root(), Value::Tuple(_)));
        let circular = pickled(b"}q\x00X\x01\0\0\0ah\x00s");
        let pickle = Pickle::parse(&circular).unwrap();
        let inner = pickle.lookup(pickle.root(), "a").unwrap();
        assert!(std::ptr::eq(inner, pickle.root()));
    }

    #[test]
    fn damage_is_reported_with_its_position() {
        for (bytes, expected) in [
            (&b"\x80\x02"[..], "cut short"),
            (b"\x80\x02.", "a value is missing"),
            (b"\x80\x02Nt.", "a mark is missing"),
            (b"\x80\x02N(0.", "a value is missing"),
            (b"\x80\x02h\x05.", "at byte 2: value 5 is read from the memo, but was never stored"),
            (b"\x80\x02X\xff\xff\xff\xffa.", "cut short"),
            (b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "cut short"),
            (b"\x80\x02c\xff\nx\n.", "a name in UTF-8"),
            (b"\x80\x02}(Nu.", "a value for each key"),
            (b"\x80\x02cos", "cut short"),
            (b"\x80\x02NN\x93.", "as text"),
            (b"\x80\x02S'x'\n.", "found 0x53"),
        ] {
            assert!(message(bytes).contains(expected), "{}", message(bytes));
        }
        assert!(message(&vec![b'N'; MAX_BYTES + 1]).contains("at most 16777216 bytes"));
    }
}
