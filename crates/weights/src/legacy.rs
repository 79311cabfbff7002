//! The format of PyTorch before 1.6, which torchvision still distributes: a sequence of pickles, then the
//! storages. No code from the file is run.

use std::collections::HashMap;

use super::extent::Part;
use super::opcode::FRAME;
use super::pickle::{self, Pickle};
use super::pt::{Pt, RE_SAVE, of_pickle};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;

/// The start of the format's magic number, as pickled.
const MAGIC: [u8; 6] = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46];

/// Pickles before the weights: magic number, version and system information.
const BEFORE: usize = 3;

/// Whether `start` is how such a file begins: a pickle of the magic number, in any protocol that can hold large
/// tensors. Since protocol 4, the length of a frame precedes the number.
pub(super) fn begins(start: &[u8]) -> bool {
    match start {
        [0x80, 4..=5, FRAME, _, _, _, _, _, _, _, _, number @ ..] | [0x80, 2..=5, number @ ..] => {
            number.starts_with(&MAGIC)
        }
        _ => false,
    }
}

/// Finds the tensors of the file in `source`.
///
/// # Errors
/// [`Error::Invalid`] if it is damaged or tries to run code; [`Error::Usage`] if it does not have the
/// requested weights.
pub(super) fn read(source: &ByteSource, wanted: StateKind) -> Result<Pt> {
    let bytes = source.read_at(0, source.len().min(pickle::MAX_BYTES as u64))?;
    let mut at = 0;
    let mut next = || {
        let (pickle, len) = Pickle::parse_first(&bytes[at..])?;
        at += len;
        Ok::<_, Error>(pickle)
    };
    for _ in 0..BEFORE {
        next()?;
    }
    let (weights, order) = (next()?, next()?);
    let parts = parts(source, &weights, &order, at as u64)?;
    of_pickle(&weights, wanted, source.len(), |key| parts.get(key).copied())
}

/// Locates the storages: after `at`, in the order of the keys in `order`, each preceded by its length.
fn parts<'a>(
    source: &ByteSource,
    weights: &Pickle<'a>,
    order: &Pickle<'a>,
    mut at: u64,
) -> Result<HashMap<&'a str, Part>> {
    let sizes: HashMap<&str, usize> =
        weights.storages().map(|storage| (storage.key, storage.dtype.size())).collect();
    let damaged =
        |what: &str| Error::invalid(format!("{what}: the file is cut short or damaged, or {RE_SAVE}"));
    let mut parts = HashMap::new();
    for key in order.texts() {
        let size = *sizes.get(key).ok_or_else(|| damaged("a storage belongs to no tensor"))?;
        let length = source.read_at(at, 8).map_err(|_| damaged("a storage is missing"))?;
        let length: [u8; 8] = length.try_into().expect("eight bytes were requested");
        let bytes = u64::from_le_bytes(length).checked_mul(size as u64);
        let start = at + 8;
        let end = bytes.and_then(|bytes| start.checked_add(bytes)).filter(|&end| end <= source.len());
        at = end.ok_or_else(|| damaged("a storage ends beyond the file"))?;
        parts.insert(key, (start, at - start));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::super::pickle::tests::{dict, global, int, pickled, storage, tensor, text, tuple};
    use super::*;

    /// A file with the weights in the pickle `weights` and storages of `lengths` floats.
    fn file(weights: &[u8], storages: &[(&str, u64)]) -> Vec<u8> {
        let magic = [&[0x80, 2][..], &MAGIC, &[0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.']].concat();
        let keys: Vec<u8> = storages.iter().flat_map(|(key, _)| text(key)).collect();
        let keys = [b"](", &keys[..], b"e"].concat();
        let mut bytes =
            [magic, pickled(&int(1001)), pickled(&dict(&[])), pickled(weights), pickled(&keys)].concat();
        for (_, length) in storages {
            bytes.extend(length.to_le_bytes());
            bytes.extend((0..*length).flat_map(|i| (i as f32).to_le_bytes()));
        }
        bytes
    }

    fn message(bytes: Vec<u8>) -> String {
        read(&ByteSource::Memory(bytes.into()), StateKind::Auto).unwrap_err().to_string()
    }

    fn weights() -> Vec<u8> {
        let of = |key, shape: &[i64]| tensor(storage("FloatStorage", key, 4), 0, shape, &[1]);
        dict(&[("a", of("7", &[4])), ("b", of("5", &[3]))])
    }

    #[test]
    fn files_of_all_protocols_are_recognized() {
        for header in [&[0x80, 2][..], &[0x80, 3], b"\x80\x04\x95\x0d\0\0\0\0\0\0\0", &[0x80, 5]] {
            assert!(begins(&[header, &MAGIC, &[0xf9]].concat()), "{header:?}");
        }
        for other in [&[0x80, 2][..], &[0x80, 2, 0x8a, 10, 0], &[0x80, 1, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46]] {
            assert!(!begins(other), "{other:?}");
        }
    }

    #[test]
    fn storages_are_found_in_their_order() {
        let bytes = file(&weights(), &[("5", 4), ("7", 4)]);
        let found = read(&ByteSource::Memory(bytes.into()), StateKind::Auto).unwrap();
        let places: Vec<_> = found.tensors.iter().map(|tensor| (&tensor.name[..], tensor.start)).collect();
        assert_eq!(places[0].1, places[1].1 + 24, "{places:?}");
    }

    /// As in the files of the lpips package.
    #[test]
    fn dictionaries_of_python_2_are_read() {
        let of = |key| tensor(storage("FloatStorage", key, 4), 0, &[4], &[1]);
        let pair = |name, value: Vec<u8>| [b"](", &text(name)[..], &value, b"e"].concat();
        let one_by_one = |name, value: Vec<u8>| [b"]", &text(name)[..], b"a", &value, b"a"].concat();
        let pairs = [b"](", &pair("a", of("7"))[..], &one_by_one("b", of("5")), b"e"].concat();
        let weights = [global("collections", "OrderedDict"), pairs, b"\x85R".into()].concat();
        let bytes = file(&weights, &[("5", 4), ("7", 4)]);
        let found = read(&ByteSource::Memory(bytes.into()), StateKind::Auto).unwrap();
        let names: Vec<_> = found.tensors.iter().map(|tensor| &tensor.name[..]).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn damage_is_reported_and_nothing_is_run() {
        let whole = file(&weights(), &[("5", 4), ("7", 4)]);
        assert!(message(whole[..whole.len() - 1].to_vec()).contains("ends beyond the file"));
        assert!(message(whole[..whole.len() - 20].to_vec()).contains("a storage is missing"));
        assert!(message(whole[..100].to_vec()).contains("cut short"));
        assert!(message(file(&weights(), &[("9", 4)])).contains("belongs to no tensor"));
        assert!(message(file(&weights(), &[("5", 4)])).contains("no storage in the file"));
        let mut huge = whole;
        let length = huge.len() - 24;
        huge[length..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(message(huge).contains("ends beyond the file"));
        let attack = [global("os", "system"), tuple(&[text("echo")]), b"R".into()].concat();
        assert!(message(file(&attack, &[])).contains("the pickle wants to call os.system; nothing was run"));
    }
}
