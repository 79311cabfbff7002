//! The serialized form of an image between a page and its worker: sizes, and the values as bytes. An image from a file
//! has 8-bit values, so it takes a quarter of its memory.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Picture, check_size, from_u8, to_u8};

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
    /// A byte for each value, or little-endian f32, the byte order of all supported machines.
    data: Bytes,
}

/// `value` in 8 bits, if they give exactly this value again.
fn level(value: f32) -> Option<u8> {
    let level = to_u8(value);
    (from_u8(level) == value).then_some(level)
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let levels: Option<Vec<u8>> = self.data.iter().map(|&value| level(value)).collect();
        let data = levels.unwrap_or_else(|| bytemuck::cast_slice::<f32, u8>(&self.data).to_vec());
        Wire { width: self.width, height: self.height, data: Bytes(data) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Picture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { width, height, data: Bytes(bytes) } = Wire::deserialize(deserializer)?;
        check_size(width as u64, height as u64).map_err(D::Error::custom)?;
        let data = if bytes.len() == 3 * width * height {
            bytes.into_iter().map(from_u8).collect()
        } else {
            let (values, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(D::Error::invalid_length(bytes.len(), &"bytes of f32"));
            }
            values.iter().map(|&value| f32::from_le_bytes(value)).collect()
        };
        Self::new(width, height, data).map_err(D::Error::custom)
    }
}
