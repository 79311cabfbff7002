//! The serialized form of an image between a page and its worker: sizes, and the values as bytes. An image from a file
//! takes one byte for each.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Picture, Pixels, check_size};

/// Bytes that are serialized in one piece, not one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Piece;
        impl Visitor<'_> for Piece {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.into()))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Piece)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    width: usize,
    height: usize,
    /// 8-bit pixels (row, column, channel), or values as little-endian f32, the byte order of all supported machines.
    data: Bytes,
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = match &self.pixels {
            Pixels::Levels(image, _) => image.as_raw().clone(),
            Pixels::Values(values) => bytemuck::cast_slice::<f32, u8>(values).to_vec(),
        };
        Wire { width: self.width, height: self.height, data: Bytes(data) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Picture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { width, height, data: Bytes(bytes) } = Wire::deserialize(deserializer)?;
        check_size(width as u64, height as u64).map_err(D::Error::custom)?;
        if bytes.len() == 3 * width * height {
            return Self::from_levels(width, height, bytes).map_err(D::Error::custom);
        }
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::invalid_length(bytes.len(), &"bytes of f32"));
        }
        let data = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        Self::new(width, height, data).map_err(D::Error::custom)
    }
}
