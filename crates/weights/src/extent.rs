//! Where a tensor of a `.pt` is in its file. All its elements must be inside its storage.

use super::pickle::Tensor;
use super::tensor::TensorInfo;
use residua_core::error::{Error, Result};

/// Start and length of a part of a file.
pub type Part = (u64, u64);

/// Checks that every element of `tensor` is inside its storage, which is `part` of a file of `file_len`
/// bytes.
pub fn place(name: String, tensor: &Tensor<'_>, part: Option<Part>, file_len: u64) -> Result<TensorInfo> {
    let storage = tensor.storage;
    let wrong = |what: &str| Error::invalid(format!("tensor {name:?} {what}: the file is damaged"));
    let (start, len) = part.ok_or_else(|| wrong("has no storage in the file"))?;
    let size = storage.dtype.size() as u64;
    if storage.elements.checked_mul(size).is_none_or(|bytes| bytes > len) {
        return Err(wrong("has a storage that is larger than its part of the file"));
    }
    let elements = product(&tensor.shape).ok_or_else(|| wrong("has a size that overflows"))?;
    // Overlapping strides can make a tensor larger than its storage, but it must not be larger than the file.
    if elements.checked_mul(size).is_none_or(|bytes| bytes > file_len) {
        return Err(wrong("is larger than the file"));
    }
    let end = if elements == 0 { Some(0) } else { end(tensor) };
    if end.is_none_or(|end| end > storage.elements) {
        return Err(wrong("reaches beyond its storage"));
    }
    Ok(TensorInfo {
        name,
        dtype: storage.dtype,
        shape: tensor.shape.clone(),
        start: if elements == 0 { start } else { start + tensor.offset * size },
        strides: Some(tensor.strides.clone()).filter(|_| !is_contiguous(tensor)),
    })
}

fn product(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))
}

/// One past the last element's index in the storage, for a non-empty tensor.
fn end(tensor: &Tensor<'_>) -> Option<u64> {
    let steps = tensor.shape.iter().zip(&tensor.strides);
    let last = steps.map(|(&size, &stride)| (size as u64 - 1).checked_mul(stride as u64));
    last.into_iter().try_fold(tensor.offset.checked_add(1)?, |end, step| end.checked_add(step?))
}

fn is_contiguous(tensor: &Tensor<'_>) -> bool {
    let mut expected = 1;
    tensor.shape.iter().zip(&tensor.strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::super::pickle::tests::{dict, storage, tensor};
    use super::super::pt::tests::{message, of_pickle};

    #[test]
    fn extents_are_checked_against_storage_and_file() {
        let max = i64::MAX;
        for (elements, offset, shape, strides, expected) in [
            (7, 0, vec![6], vec![1], "larger than its part of the file"),
            (max, 0, vec![6], vec![1], "larger than its part of the file"),
            (6, 1, vec![6], vec![1], "beyond its storage"),
            (6, max, vec![1], vec![1], "beyond its storage"),
            (6, 0, vec![2, 3], vec![4, 1], "beyond its storage"),
            (6, 0, vec![2, 2], vec![max, max], "beyond its storage"),
            (6, 0, vec![max, max], vec![1, 1], "overflows"),
            (6, 0, vec![max, 2], vec![0, 0], "larger than the file"),
            (6, 0, vec![1 << 40], vec![0], "larger than the file"),
        ] {
            let tensor = tensor(storage("FloatStorage", "0", elements), offset, &shape, &strides);
            let found = message(of_pickle(&dict(&[("w", tensor)])));
            assert!(found.contains("tensor \"w\"") && found.contains(expected), "{expected}: {found}");
        }
        let elsewhere = tensor(storage("FloatStorage", "1", 1), 0, &[1], &[1]);
        assert!(message(of_pickle(&dict(&[("w", elsewhere)]))).contains("no storage"));
        let empty = tensor(storage("FloatStorage", "0", 0), max, &[0, max], &[max, 1]);
        assert_eq!(of_pickle(&dict(&[("w", empty)])).unwrap().tensors[0].elements(), 0);
    }
}
