//! Reads a section of a configuration, and reports each unknown key with the nearest known one.

use std::cell::RefCell;
use std::fmt::Display;

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

use super::misfit;

/// Called with the path of an unknown key and the nearest key allowed there.
type Report<'r> = &'r dyn Fn(&str, &str);

/// Reads `value`, which is at `path` in its document, and passes each unknown key to `report`.
///
/// # Errors
/// A value is missing or has the wrong type: where, and why.
pub(super) fn read<T: DeserializeOwned>(value: &Value, path: &str, report: Report<'_>) -> Result<T, String> {
    let failed = RefCell::default();
    T::deserialize(Node { value, path: path.into(), report, failed: &failed })
        .map_err(|error| misfit::said(&failed.take(), &error.to_string()))
}

/// A value in a document being read.
struct Node<'de, 'r> {
    value: &'de Value,
    path: String,
    report: Report<'r>,
    /// The path of the first value that could not be read.
    failed: &'r RefCell<String>,
}

impl<'de, 'r> Node<'de, 'r> {
    fn below(&self, value: &'de Value, key: impl Display) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Node { value, path: format!("{}{dot}{key}", self.path), ..*self }
    }

    fn noted<T>(failed: &RefCell<String>, path: &str, read: Result<T, Error>) -> Result<T, Error> {
        if read.is_err() && failed.borrow().is_empty() {
            failed.replace(path.into());
        }
        read
    }
}

impl<'de> Deserializer<'de> for Node<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let read = match self.value {
            Value::Object(fields) => {
                let below = fields.iter().map(|(key, value)| (key.as_str(), self.below(value, key)));
                visitor.visit_map(Fields { left: below, value: None })
            }
            Value::Array(values) => {
                let below = values.iter().enumerate().map(|(i, value)| self.below(value, i));
                let mut sequence = SeqDeserializer::new(below);
                visitor.visit_seq(&mut sequence).and_then(|read| sequence.end().map(|()| read))
            }
            scalar => match whole(scalar) {
                Some(number) => visitor.visit_u64(number),
                None => scalar.deserialize_any(visitor),
            },
        };
        Self::noted(self.failed, &self.path, read)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Otherwise a list would be read by position.
        if self.value.is_array() {
            let error = serde::de::Error::invalid_type(Unexpected::Seq, &visitor);
            return Self::noted(self.failed, &self.path, Err(error));
        }
        let keys = self.value.as_object().into_iter().flat_map(|object| object.keys());
        for key in keys.filter(|key| !fields.contains(&key.as_str())) {
            let nearest = fields.iter().max_by(|a, b| likeness(key, a).total_cmp(&likeness(key, b)));
            (self.report)(&self.below(self.value, key).path, nearest.unwrap_or(&""));
        }
        let Some(object) = self.value.as_object() else { return self.deserialize_any(visitor) };
        // A key without a value counts as absent, such as a section whose lines are all commented out.
        let present = object.iter().filter(|(_, value)| !value.is_null());
        let below = present.map(|(key, value)| (key.as_str(), self.below(value, key)));
        Self::noted(self.failed, &self.path, visitor.visit_map(Fields { left: below, value: None }))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        Self::noted(self.failed, &self.path, self.value.deserialize_enum(name, variants, visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The whole number that `value` gives with a decimal point, as programs with only one type of number write
/// them: 2048.0.
fn whole(value: &Value) -> Option<u64> {
    const MOST: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    let number = value.as_f64().filter(|_| value.is_f64())?;
    (number.fract() == 0.0 && (0.0..MOST).contains(&number)).then_some(number as u64)
}

/// The fields of an object. Records the path of any value that fails, whoever rejects it.
struct Fields<'de, 'r, I> {
    left: I,
    /// The value of the last key read.
    value: Option<Node<'de, 'r>>,
}

impl<'de, 'r, I: Iterator<Item = (&'de str, Node<'de, 'r>)>> MapAccess<'de> for Fields<'de, 'r, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().expect("a key is read before its value");
        let (failed, path) = (value.failed, value.path.clone());
        Node::noted(failed, &path, seed.deserialize(value))
    }
}

impl<'de> IntoDeserializer<'de, Error> for Node<'de, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Similarity of two keys, from 0 to 1.
fn likeness(key: &str, other: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(&key.to_lowercase(), other)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        #[serde(rename = "type", alias = "kind")]
        name: String,
        inner: Vec<Inner>,
        #[serde(default)]
        raw: Value,
        #[serde(default)]
        shape: Option<[usize; 2]>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        batch_size: usize,
        #[serde(default)]
        epochs: f64,
    }

    #[test]
    fn each_unknown_key_is_reported_with_the_nearest_known_one() {
        let value = json!({
            "kind": "a", "inner": [{"batch_size": 1}, {"batch_size": 2, "epochs": 3, "batchsize": 4}],
            "raw": {"anything": 1}, "shap": [1, 2],
        });
        let told = RefCell::new(Vec::new());
        let outer: Outer = read(&value, "top", &|path, nearest| {
            told.borrow_mut().push((path.to_string(), nearest.to_string()));
        })
        .unwrap();
        let expected = [("top.shap", "shape"), ("top.inner.1.batchsize", "batch_size")];
        assert_eq!(told.into_inner(), expected.map(|(path, nearest)| (path.into(), nearest.into())));
        assert_eq!((outer.name.as_str(), outer.inner[1].epochs), ("a", 3.0));
        assert_eq!(outer.raw, json!({"anything": 1}));
    }

    #[test]
    fn whole_numbers_may_have_a_decimal_point() {
        let inner = json!({"batch_size": 2048.0, "epochs": 3.0});
        let value = json!({"type": "a", "inner": [inner], "shape": [8.0, 8]});
        let outer: Outer = read(&value, "", &|_, _| ()).unwrap();
        assert_eq!((outer.inner[0].batch_size, outer.shape), (2048, Some([8, 8])));
        assert_eq!(outer.inner[0].epochs, 3.0);
        for number in [-1.0, 0.5, 1e300] {
            let inner = json!({"batch_size": number});
            assert!(read::<Outer>(&json!({"type": "a", "inner": [inner]}), "", &|_, _| ()).is_err());
        }
    }

    #[test]
    fn a_key_without_a_value_is_absent() {
        let inner = json!({"batch_size": 2, "epochs": null});
        let value = json!({"type": "a", "inner": [inner], "raw": null, "shape": null});
        let outer: Outer = read(&value, "", &|_, _| ()).unwrap();
        assert_eq!((outer.inner[0].epochs, outer.raw, outer.shape), (0.0, Value::Null, None));
        let error = read::<Outer>(&json!({"type": null, "inner": []}), "", &|_, _| ()).unwrap_err();
        assert_eq!(error, "expected a key type, found none");
    }

    #[test]
    fn unreadable_values_are_reported_with_their_path() {
        for (value, expected) in [
            (json!({"type": "a", "inner": [{}]}), "inner.0: expected a key batch_size, found none"),
            (json!({"type": "a", "inner": [], "shape": [1, 2, 3]}), "shape: expected a list of 2, found 3"),
            (
                json!({"type": "a", "inner": [{"batch_size": 1.5}]}),
                "inner.0.batch_size: expected a whole number",
            ),
            (json!(7), "expected a mapping, found 7"),
            (json!(["a", []]), "expected a mapping, found a list"),
            (json!({"type": "a", "inner": [[3]]}), "inner.0: expected a mapping, found a list"),
        ] {
            let error = read::<Outer>(&value, "", &|_, _| ()).unwrap_err();
            assert!(error.starts_with(expected), "{value}: {error}");
        }
    }
}
