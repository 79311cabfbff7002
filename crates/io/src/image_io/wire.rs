//! The serialized form of an image between a page and its worker: sizes, and the values as bytes.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Picture;

#[derive(Serialize, Deserialize)]
struct Wire {
    width: usize,
    height: usize,
    data: Floats,
}

/// Little-endian f32, the byte order of all supported machines.
struct Floats(Vec<f32>);

impl Serialize for Floats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytemuck::cast_slice(&self.0))
    }
}

impl<'de> Deserialize<'de> for Floats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Floats;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("bytes of f32")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Floats, E> {
                let (chunks, rest) = bytes.as_chunks::<4>();
                match rest {
                    [] => Ok(Floats(chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())),
                    _ => Err(E::invalid_length(bytes.len(), &self)),
                }
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = Floats(self.data.clone());
        Wire { width: self.width, height: self.height, data }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Picture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { width, height, data } = Wire::deserialize(deserializer)?;
        Self::new(width, height, data.0).map_err(D::Error::custom)
    }
}
