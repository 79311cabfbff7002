//! Tensors as stored in weight files: type, shape, offset, and their elements as `f32`.

use half::slice::HalfFloatSliceExt;

use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;

/// Bytes read and converted at a time; a multiple of every element size.
const PIECE: u64 = 1 << 20;

/// An element type as stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE double precision.
    F64,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an `F32`.
    BF16,
    /// Signed, 8 bytes.
    I64,
    /// Signed, 4 bytes.
    I32,
    /// Signed, 2 bytes.
    I16,
    /// Signed, 1 byte.
    I8,
    /// Unsigned, 1 byte.
    U8,
    /// One byte, zero or nonzero.
    Bool,
    /// A type that no model here uses, such as complex numbers: its name in messages, and the bytes per
    /// element.
    Other(&'static str, u8),
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(name, _) => f.pad(name),
            known => f.pad(&format!("{known:?}").to_lowercase()),
        }
    }
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::Other(_, size) => size.into(),
        }
    }

    /// Appends the elements in `bytes` (only whole ones) to `out` as `f32`, rounded to nearest.
    fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::F16 => halves(bytes, out),
            Self::BF16 => each(bytes, out, |b| half::bf16::from_le_bytes(b).to_f32()),
            Self::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 => each(bytes, out, |[b]: [u8; 1]| f32::from(b)),
            Self::Bool => each(bytes, out, |[b]: [u8; 1]| f32::from(b != 0)),
            Self::Other(..) => unreachable!("such tensors are refused before they are read"),
        }
    }
}

/// A tensor in a weight file. The reader has checked that all its elements are inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the model.
    pub name: String,
    /// The element type in the file.
    pub dtype: Dtype,
    /// Elements along each dimension.
    pub shape: Vec<usize>,
    /// The offset of the first element in the file.
    pub(super) start: u64,
    /// Strides in elements, if the elements are not contiguous in row-major order.
    pub(super) strides: Option<Vec<usize>>,
}

impl TensorInfo {
    /// The element count.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Passes the elements to `take` in row-major order, a piece at a time.
    ///
    /// # Errors
    /// Their type is one that no model here uses, or they cannot be read.
    pub(super) fn for_each_piece(&self, source: &ByteSource, mut take: impl FnMut(&[f32])) -> Result<()> {
        if let Dtype::Other(..) = self.dtype {
            return Err(Error::invalid(format!(
                "tensor {:?} has type {}: convert it to F32 or F16",
                self.name, self.dtype
            )));
        }
        let mut piece = Vec::new();
        let mut decode = |bytes: &[u8]| {
            piece.clear();
            self.dtype.decode(bytes, &mut piece);
            take(&piece);
        };
        match &self.strides {
            Some(strides) => self.gathered(source, strides)?.chunks(PIECE as usize).for_each(decode),
            None => {
                let len = (self.elements() * self.dtype.size()) as u64;
                for offset in (0..len).step_by(PIECE as usize) {
                    decode(&source.read_at(self.start + offset, PIECE.min(len - offset))?);
                }
            }
        }
        Ok(())
    }

    /// The elements' bytes in row-major order, for a tensor that is stored with strides.
    fn gathered(&self, source: &ByteSource, strides: &[usize]) -> Result<Vec<u8>> {
        let Self { dtype, shape, .. } = self;
        let mut out = Vec::with_capacity(self.elements() * dtype.size());
        if self.elements() > 0 {
            let last: usize = shape.iter().zip(strides).map(|(&len, &stride)| (len - 1) * stride).sum();
            let span = source.read_at(self.start, ((last + 1) * dtype.size()) as u64)?;
            gather(&span, dtype.size(), shape, strides, &mut out);
        }
        Ok(out)
    }
}

fn gather(span: &[u8], size: usize, shape: &[usize], strides: &[usize], out: &mut Vec<u8>) {
    match (shape, strides) {
        ([len, shape @ ..], [stride, strides @ ..]) => {
            (0..*len).for_each(|index| gather(&span[index * stride * size..], size, shape, strides, out));
        }
        _ => out.extend_from_slice(&span[..size]),
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, convert: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|&element| convert(element)));
}

/// Converts in bulk: the processor's instruction handles several elements at once.
fn halves(bytes: &[u8], out: &mut Vec<f32>) {
    let stored: Vec<half::f16> = bytes.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b)).collect();
    let start = out.len();
    out.resize(start + stored.len(), 0.0);
    stored.convert_to_f32_slice(&mut out[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_decodes_its_bytes() {
        let cases: [(Dtype, Vec<u8>, f32); 10] = [
            (Dtype::F64, (-1.5f64).to_le_bytes().into(), -1.5),
            (Dtype::F32, 3.25f32.to_le_bytes().into(), 3.25),
            (Dtype::F16, vec![0x00, 0xc0], -2.0),
            (Dtype::BF16, vec![0x80, 0x3f], 1.0),
            (Dtype::I64, (-7i64).to_le_bytes().into(), -7.0),
            (Dtype::I32, 70_000i32.to_le_bytes().into(), 70_000.0),
            (Dtype::I16, (-300i16).to_le_bytes().into(), -300.0),
            (Dtype::I8, vec![0xff], -1.0),
            (Dtype::U8, vec![0xff], 255.0),
            (Dtype::Bool, vec![2], 1.0),
        ];
        for (dtype, bytes, expected) in cases {
            assert_eq!(dtype.size(), bytes.len());
            let mut out = vec![9.0];
            dtype.decode(&bytes.repeat(3), &mut out);
            assert_eq!(out, [9.0, expected, expected, expected], "{dtype:?}");
        }
    }

    #[test]
    fn strided_elements_come_in_row_major_order() {
        let stored = |shape: &[usize], strides: Option<&[usize]>, start| TensorInfo {
            name: "t".into(),
            dtype: Dtype::I16,
            shape: shape.into(),
            start,
            strides: strides.map(Into::into),
        };
        let source = ByteSource::Memory((0..24i16).flat_map(i16::to_le_bytes).collect());
        let read = |stored: TensorInfo| {
            let mut out = Vec::new();
            stored.for_each_piece(&source, |piece| out.extend_from_slice(piece)).unwrap();
            out
        };
        assert_eq!(read(stored(&[2, 3], None, 2)), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(read(stored(&[2, 3], Some(&[1, 2]), 2)), [1., 3., 5., 2., 4., 6.]);
        assert_eq!(read(stored(&[2, 2, 2], Some(&[12, 3, 1]), 0)), [0., 1., 3., 4., 12., 13., 15., 16.]);
        assert_eq!(read(stored(&[3], Some(&[0]), 4)), [2., 2., 2.]);
        assert!(read(stored(&[3, 0], Some(&[7, 7]), 0)).is_empty());
    }

    #[test]
    fn a_tensor_of_several_pieces_is_complete() {
        let elements = PIECE as usize / 2 + 3;
        let source = ByteSource::Memory((0..elements).flat_map(|i| (i as i16).to_le_bytes()).collect());
        let (name, shape) = ("t".into(), vec![elements]);
        let stored = TensorInfo { name, dtype: Dtype::I16, shape, start: 0, strides: None };
        let mut out = Vec::new();
        stored.for_each_piece(&source, |piece| out.extend_from_slice(piece)).unwrap();
        assert!(out.iter().enumerate().all(|(i, &value)| value == f32::from(i as i16)));
        assert_eq!(out.len(), elements);
    }
}
