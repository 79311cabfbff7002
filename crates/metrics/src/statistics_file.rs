//! Feature statistics in numpy's `.npz` format: arrays `mu` and `sigma`, as common tools save and read them.

use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use flate2::read::DeflateDecoder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::frechet::Statistics;
use super::symmetric::Matrix;
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;
use residua_core::files::npy::Array;
use residua_core::files::{kinds, npy};

/// Maximum size of an array, in bytes; 2,048 features take 34 MB.
const LARGEST: u64 = 1 << 30;

impl Statistics {
    /// Reads statistics from `path`. Other arrays in the file are not read: the reference batches of guided
    /// diffusion (ADM) have gigabytes of pictures beside their statistics.
    ///
    /// # Errors
    /// The file cannot be read, or is not an `.npz` with `mu` `[D]` and `sigma` `[D, D]`.
    pub fn read(path: &Path) -> Result<Self> {
        Self::decode(&ByteSource::open(path)?).map_err(|error| {
            Error::invalid(format!(
                "{}: expected statistics, an .npz with mu and sigma; {error}",
                path.display()
            ))
        })
    }

    fn decode(source: &ByteSource) -> Result<Self> {
        let start = source.read_at(0, source.len().min(kinds::LONGEST_START as u64))?;
        let mut zip = ZipArchive::new(BufReader::new(source.reader())).map_err(|_| {
            let is_zip = start.starts_with(b"PK");
            let found =
                if is_zip { "one that is cut short or damaged: copy it again" } else { kinds::found(&start) };
            Error::invalid(format!("found {found}"))
        })?;
        let (shape, mean) = floats(&mut zip, "mu.npy")?;
        let (square, covariance) = floats(&mut zip, "sigma.npy")?;
        let size = mean.len();
        if size == 0 || shape != [size] || square != [size, size] {
            return Err(Error::invalid(format!(
                "expected mu of shape (D,) and sigma of shape (D, D), found {shape:?} and {square:?}"
            )));
        }
        Ok(Self { mean, covariance: Matrix { columns: size, values: covariance } })
    }

    /// An `.npz` with `mu` and `sigma`, as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.mean.len();
        let arrays =
            [("mu.npy", vec![size], &self.mean), ("sigma.npy", vec![size, size], &self.covariance.values)];
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, shape, values) in arrays {
            let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            zip.start_file(name, options).expect("two short names");
            zip.write_all(&npy::encode("<f8", &shape, &data)).expect("writing to memory cannot fail");
        }
        zip.finish().expect("writing to memory cannot fail").into_inner()
    }
}

/// Shape and values of an array in the archive.
fn floats(zip: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
    let index = zip.index_for_name(name).ok_or_else(|| Error::invalid(format!("it has no {name}")))?;
    let entry = zip.by_index_raw(index).map_err(Error::invalid)?;
    let compression = entry.compression();
    let unreadable = |error| Error::invalid(format!("{name} cannot be read: {error}"));
    let mut bytes = Vec::new();
    match compression {
        CompressionMethod::Stored => entry.take(LARGEST).read_to_end(&mut bytes),
        // numpy's `savez_compressed`.
        _ => DeflateDecoder::new(entry).take(LARGEST).read_to_end(&mut bytes),
    }
    .map_err(unreadable)?;
    let array = Array::parse(&bytes)?;
    let values: Vec<f64> = match array.descr.as_deref() {
        Some("<f8") => {
            array.check_length(8)?;
            array.data.as_chunks().0.iter().map(|&value| f64::from_le_bytes(value)).collect()
        }
        Some("<f4") => {
            array.check_length(4)?;
            array.data.as_chunks().0.iter().map(|&value| f64::from(f32::from_le_bytes(value))).collect()
        }
        other => {
            return Err(Error::invalid(format!(
                "{name}: expected float64 or float32, found {}",
                other.unwrap_or("records")
            )));
        }
    };
    if !values.iter().all(|value| value.is_finite()) {
        return Err(Error::invalid(format!("{name} has NaN or infinite values")));
    }
    let values = array.in_c_order(values);
    Ok((array.shape, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;
    use residua_core::files;

    fn fixture(name: &str) -> Statistics {
        let path = format!("{}/../../tests/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
        Statistics::read(Path::new(&path)).unwrap()
    }

    #[test]
    fn reads_what_numpy_writes() {
        let golden = golden("frechet.json");
        for (name, tolerance) in [("statistics.npz", 1e-14), ("statistics_compressed.npz", 1e-6)] {
            let found = fixture(name);
            let close = |found: &f64, expected: &serde_json::Value| {
                (found - expected.as_f64().unwrap()).abs() <= tolerance
            };
            let mean = golden["mean"].as_array().unwrap();
            assert!(found.mean.iter().zip(mean).all(|(a, b)| close(a, b)), "{name}");
            let rows = golden["covariance"].as_array().unwrap().iter();
            let covariance = rows.flat_map(|row| row.as_array().unwrap());
            assert!(found.covariance.values.iter().zip(covariance).all(|(a, b)| close(a, b)), "{name}");
        }
    }

    /// Like the reference batches of guided diffusion: a sparse file of more than a gigabyte, of which little
    /// is read.
    #[test]
    fn pictures_beside_the_statistics_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batch.npz");
        let statistics = fixture("statistics.npz");
        let mut file = std::fs::File::create(&path).unwrap();
        file.set_len(LARGEST).unwrap();
        file.seek(std::io::SeekFrom::End(0)).unwrap();
        // What precedes a zip is no part of it.
        file.write_all(&statistics.encode()).unwrap();
        drop(file);
        assert_eq!(Statistics::read(&path).unwrap(), statistics);
    }

    #[test]
    fn written_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.npz");
        let statistics = fixture("statistics.npz");
        files::save(&path, &statistics.encode()).unwrap();
        assert_eq!(Statistics::read(&path).unwrap(), statistics);
        let whole = std::fs::read(&path).unwrap();
        for (length, found) in [
            (0, "an empty file"),
            (10, "one that is cut short"),
            (whole.len() / 2, "one that is cut short"),
            (whole.len() - 1, "one that is cut short"),
        ] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = Statistics::read(&path).unwrap_err().to_string();
            let expected = format!("s.npz: expected statistics, an .npz with mu and sigma; found {found}");
            assert!(error.contains(&expected), "{error}");
        }
        std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\n").unwrap();
        let error = Statistics::read(&path).unwrap_err().to_string();
        assert!(error.contains("with mu and sigma; found a Git LFS pointer"), "{error}");
        let odd = Statistics { mean: vec![0.0; 3], covariance: Matrix::zeros(2, 2) };
        files::save(&path, &odd.encode()).unwrap();
        assert!(Statistics::read(&path).unwrap_err().to_string().contains("promises"));
        let infinite = Statistics { mean: vec![f64::NAN], covariance: Matrix::zeros(1, 1) };
        files::save(&path, &infinite.encode()).unwrap();
        assert!(Statistics::read(&path).unwrap_err().to_string().contains("NaN or infinite values"));
    }
}
