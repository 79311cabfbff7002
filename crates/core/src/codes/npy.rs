//! Code stacks as NumPy `.npy` files: one integer array of shape (h, w, depth) or (n, h, w, depth).

use std::path::Path;

use super::CodeStack;
use crate::error::{Error, Result};
use crate::files;
use crate::files::npy::{self, Array};

/// Larger files are refused: a million images of 8x8x4 codes take half of this.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Keeps a file of many tiny stacks from taking a hundred times its size in memory.
const MAX_STACKS: usize = 1 << 22;

/// Reads the stacks in the file at `path` with [`decode`].
///
/// # Errors
/// The file cannot be read, or is not an array of codes.
pub fn load(path: &Path) -> Result<Vec<CodeStack>> {
    files::read_with(path, MAX_FILE_BYTES, decode)
}

/// One stack as an array of shape (h, w, depth), in the smallest of `<u2`, `<i4` and `<i8` that holds its
/// codes. Signed above 16 bits, because PyTorch has no arithmetic for larger unsigned integers.
pub fn encode(stack: &CodeStack) -> Vec<u8> {
    array(&stack.shape(), stack.codes())
}

/// Stacks of the same shape as an array of shape (n, h, w, depth), with the type that [`encode`] would
/// choose.
///
/// # Errors
/// The stacks have different shapes, or there are none.
pub fn encode_all(stacks: &[CodeStack]) -> Result<Vec<u8>> {
    let shape = stacks.first().map(CodeStack::shape);
    let Some([h, w, depth]) = shape.filter(|shape| stacks.iter().all(|stack| stack.shape() == *shape)) else {
        return Err(Error::invalid(
            "expected code stacks of the same shape for one array, found different shapes",
        ));
    };
    let codes: Vec<u32> = stacks.iter().flat_map(|stack| stack.codes()).copied().collect();
    Ok(array(&[stacks.len(), h, w, depth], &codes))
}

fn array(shape: &[usize], codes: &[u32]) -> Vec<u8> {
    let (dtype, width) = match codes.iter().max() {
        Some(&max) if max > i32::MAX as u32 => ("<i8", 8),
        Some(&max) if max > u32::from(u16::MAX) => ("<i4", 4),
        _ => ("<u2", 2),
    };
    let bytes = codes.iter().map(|&code| u64::from(code).to_le_bytes());
    let data: Vec<u8> = bytes.flat_map(|bytes| bytes.into_iter().take(width)).collect();
    npy::encode(dtype, shape, &data)
}

/// Reads the stacks in the bytes of a `.npy` file: versions 1 to 3, any integer type, either byte order, C or
/// Fortran order. Shape (h, w, depth) is one stack, (n, h, w, depth) is `n`.
///
/// # Errors
/// The bytes are not such an array, do not have the length that the header says, or hold a negative code.
pub fn decode(bytes: &[u8]) -> Result<Vec<CodeStack>> {
    let array = Array::parse(bytes)?;
    let dtype = Dtype::parse(array.descr.as_deref().unwrap_or("an array of records"))?;
    let (stacks, stack_shape) = match *array.shape.as_slice() {
        [h, w, depth] => (1, [h, w, depth]),
        [n, h, w, depth] => (n, [h, w, depth]),
        _ => return Err(shape_error(&array.shape)),
    };
    array.check_length(dtype.width)?;
    let data = array.data;
    if data.is_empty() || stacks > MAX_STACKS {
        return Err(shape_error(&array.shape));
    }
    let values =
        data.chunks_exact(dtype.width).map(|value| dtype.code(value)).collect::<Result<Vec<u32>>>()?;
    let values = array.in_c_order(values);
    let [h, w, depth] = stack_shape;
    values.chunks_exact(h * w * depth).map(|codes| CodeStack::new(h, w, depth, codes.to_vec())).collect()
}

fn shape_error(shape: &[usize]) -> Error {
    Error::invalid(format!(
        "expected codes of shape (h, w, depth) or (n, h, w, depth), all sizes nonzero and at most {MAX_STACKS} stacks, \
         found {shape:?}"
    ))
}

/// A NumPy integer type.
struct Dtype {
    signed: bool,
    big_endian: bool,
    /// Bytes per value: 1, 2, 4 or 8.
    width: usize,
}

impl Dtype {
    fn parse(descr: &str) -> Result<Self> {
        let (order, rest) = match descr.as_bytes() {
            [order @ (b'<' | b'>' | b'|' | b'='), rest @ ..] => (*order, rest),
            rest => (b'=', rest),
        };
        let (signed, width) = match rest {
            [kind @ (b'i' | b'u'), width @ (b'1' | b'2' | b'4' | b'8')] => (*kind == b'i', width - b'0'),
            _ => return Err(Error::invalid(format!("expected integer codes, found {}", type_name(descr)))),
        };
        Ok(Self { signed, big_endian: order == b'>', width: width.into() })
    }

    /// The code stored in `width` bytes.
    fn code(&self, value: &[u8]) -> Result<u32> {
        let mut little_endian = [0; 8];
        little_endian[..self.width].copy_from_slice(value);
        if self.big_endian {
            little_endian[..self.width].reverse();
        }
        let raw = u64::from_le_bytes(little_endian);
        if self.signed && raw >> (self.width * 8 - 1) == 1 {
            let unused_bits = 64 - self.width * 8;
            let negative = (raw << unused_bits).cast_signed() >> unused_bits;
            return Err(Error::invalid(format!("expected codes of 0 or more, found {negative}")));
        }
        u32::try_from(raw)
            .map_err(|_| Error::invalid(format!("expected codes below {}, found {raw}", 1u64 << 32)))
    }
}

/// NumPy's name for the types most likely to be found instead of integers.
fn type_name(descr: &str) -> &str {
    match descr.trim_start_matches(['<', '>', '|', '=']) {
        "f2" => "float16",
        "f4" => "float32",
        "f8" => "float64",
        "b1" => "bool",
        "O" => "Python objects",
        _ => descr,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/imageio/");
        std::fs::read(format!("{folder}{name}.npy")).unwrap()
    }

    /// The fixtures' array, plus `offset`: 100 row + 10 column + depth.
    fn expected(offset: u32) -> CodeStack {
        let codes =
            (0..3).flat_map(|r| (0..2).flat_map(move |c| (0..4).map(move |d| 100 * r + 10 * c + d + offset)));
        CodeStack::new(3, 2, 4, codes.collect()).unwrap()
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [&npy::MAGIC[..], &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn message(bytes: &[u8]) -> String {
        let message = decode(bytes).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn reads_what_numpy_writes() {
        let single = ["u2", "i8", "i4_big", "i2_fortran", "version2", "version3"];
        for name in single.map(|name| format!("codes_{name}")) {
            assert_eq!(decode(&fixture(&name)).unwrap(), [expected(0)], "{name}");
        }
        for name in ["codes_batch", "codes_batch_fortran"] {
            assert_eq!(decode(&fixture(name)).unwrap(), [expected(0), expected(1)], "{name}");
        }
    }

    #[test]
    fn writes_what_numpy_writes() {
        assert_eq!(encode(&expected(0)), fixture("codes_u2"));
        let width = |code| encode(&CodeStack::new(1, 1, 1, vec![code]).unwrap()).len() - 128;
        assert_eq!([65_535, 65_536, i32::MAX as u32, 1 << 31].map(width), [2, 4, 4, 8]);
    }

    #[test]
    fn saved_files_load() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.npy");
        files::save(&path, &encode(&expected(70_000))).unwrap();
        assert_eq!(load(&path).unwrap(), [expected(70_000)]);
        std::fs::write(&path, "not an array").unwrap();
        let message = load(&path).unwrap_err().to_string();
        assert!(message.ends_with("codes.npy: expected a .npy file, found something else"), "{message}");
        let message = load(&folder.path().join("none.npy")).unwrap_err().to_string();
        assert!(message.starts_with("cannot read ") && message.contains("none.npy"), "{message}");
    }

    #[test]
    fn other_types_are_named() {
        assert_eq!(message(&fixture("codes_f4")), "expected integer codes, found float32");
        let header =
            |descr: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1, 1, 1), }}");
        for (descr, found) in [
            ("'|b1'", "bool"),
            ("'|O'", "Python objects"),
            ("'<U3'", "U3"),
            ("''", ""),
            ("'<u3'", "u3"),
            ("[('a', '<u2')]", "an array of records"),
        ] {
            let message = message(&file(&header(descr), &[0]));
            assert!(message.starts_with("expected integer codes, found "), "{message}");
            assert!(message.ends_with(found), "{message}");
        }
    }

    #[test]
    fn sizes_are_checked_against_the_data() {
        let header =
            |shape: &str| format!("{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}\n");
        for shape in ["(1, 1, 2)", "(4000000000, 4000000000, 4)", "(1, 18446744073709551615, 2)", "(0, 8, 4)"]
        {
            let message = message(&file(&header(shape), &[0; 2]));
            assert!(message.contains("2 bytes of data follow"), "{message}");
        }
        for (shape, bytes) in
            [("(2,)", 4), ("(1, 1, 1, 1, 1)", 2), ("(0, 8, 8, 4)", 0), ("(4194305, 1, 1, 1)", 8_388_610)]
        {
            let message = message(&file(&header(shape), &vec![0; bytes]));
            assert!(message.starts_with("expected codes of shape (h, w, depth)"), "{message}");
        }
        for shape in ["(-1, 1, 1)", "(1, x)", "(1, 1", "8", "(99999999999999999999, 1, 1)"] {
            let message = message(&file(&header(shape), &[]));
            assert!(message.contains("'shape' is not a tuple of sizes"), "{message}");
        }
        assert_eq!(decode(&file(&header("(1L, 1L, 1L)"), &[7, 0])).unwrap()[0].codes(), [7]);
    }

    #[test]
    fn codes_out_of_range_are_refused() {
        let header =
            |descr: &str| format!("{{'shape': (1, 1, 1), 'fortran_order': False, 'descr': '{descr}'}}");
        assert_eq!(message(&file(&header("|i1"), &[0xfe])), "expected codes of 0 or more, found -2");
        assert_eq!(message(&file(&header(">i2"), &[0xff, 0xfd])), "expected codes of 0 or more, found -3");
        let large = (1u64 << 32).to_le_bytes();
        assert_eq!(
            message(&file(&header("<i8"), &large)),
            "expected codes below 4294967296, found 4294967296"
        );
    }

    #[test]
    fn broken_headers_are_refused() {
        let whole = encode(&expected(0));
        for length in 0..whole.len() {
            message(&whole[..length]);
        }
        for (header, found) in [
            ("{}", "no entry 'descr'"),
            ("{'descr': '<u2', 'fortran_order': Maybe, 'shape': (1,1,1)}", "neither True nor False"),
        ] {
            let message = message(&file(header, &[0, 0]));
            assert!(message.contains(found), "{message}");
        }
        let mut other_version = whole;
        other_version[6] = 9;
        assert!(message(&other_version).ends_with("found 9"));
    }

    proptest! {
        #[test]
        fn codes_round_trip((h, w, depth) in (1usize..5, 1usize..5, 1usize..5), bits in 1u32..33, seed: [u32; 64]) {
            let codes = seed[..h * w * depth].iter().map(|&code| code >> (32 - bits)).collect();
            let stack = CodeStack::new(h, w, depth, codes).unwrap();
            prop_assert_eq!(decode(&encode(&stack)).unwrap(), [stack]);
        }

        #[test]
        fn flipped_bytes_never_panic(flips in prop::collection::vec((0usize..176, any::<u8>()), 1..8)) {
            let mut bytes = encode(&expected(0));
            for (at, value) in flips {
                bytes[at] = value;
            }
            let _ = decode(&bytes);
        }
    }
}
