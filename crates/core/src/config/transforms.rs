//! `dataset.transforms`, which published configurations write in two ways: `{type: NAME}`, or only NAME.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The name of the image transforms in training, if any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transforms(pub Option<String>);

/// The only key.
const KEYS: &[&str] = &["type"];

impl<'de> Deserialize<'de> for Transforms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As a struct, so that other keys are reported.
        deserializer.deserialize_struct("Transforms", KEYS, Either)
    }
}

/// Accepts both forms.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Transforms;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name, or a mapping with the key type")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Transforms, E> {
        Ok(Transforms(Some(name.into())))
    }

    fn visit_unit<E: Error>(self) -> Result<Transforms, E> {
        Ok(Transforms(None))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Transforms, M::Error> {
        let mut name = None;
        while let Some(key) = map.next_key::<String>()? {
            if KEYS.contains(&key.as_str()) {
                name = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Transforms(name))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::super::{Config, keys};
    use super::*;

    #[test]
    fn both_forms_are_read_and_other_keys_reported() {
        let name = Transforms(Some("ffhq256x256".into()));
        for (value, expected, reported) in [
            (json!("ffhq256x256"), name.clone(), vec![]),
            (json!({"type": "ffhq256x256"}), name.clone(), vec![]),
            (json!({"type": "ffhq256x256", "tpye": 1}), name, vec![("transforms.tpye", "type")]),
            (json!({"type": null}), Transforms(None), vec![]),
            (json!(null), Transforms(None), vec![]),
        ] {
            let told = RefCell::new(Vec::new());
            let report =
                |key: &str, nearest: &str| told.borrow_mut().push((key.to_string(), nearest.to_string()));
            assert_eq!(keys::read::<Transforms>(&value, "transforms", &report).unwrap(), expected, "{value}");
            let reported: Vec<(String, String)> =
                reported.into_iter().map(|(key, nearest)| (key.into(), nearest.into())).collect();
            assert_eq!(told.into_inner(), reported, "{value}");
        }
        let error = keys::read::<Transforms>(&json!([1]), "transforms", &|_, _| ()).unwrap_err();
        assert_eq!(error, "transforms: expected a name, or a mapping with the key type, found a list");
    }

    #[test]
    fn an_empty_transform_beside_the_other_is_ignored() {
        let transforms = |dataset: serde_json::Value| {
            let stage2 = include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/fixtures/published/saved/ffhq-stage2.yaml"
            ));
            let mut document = Config::parse("c", stage2).unwrap().document;
            document["dataset"] = dataset;
            Config::from_document("c", document).unwrap().transforms
        };
        let name = Transforms(Some("ffhq256x256".into()));
        let (none, given) = (json!({"type": null}), json!({"type": "ffhq256x256"}));
        assert_eq!(transforms(json!({"transform": none, "transforms": given})), name);
        assert_eq!(transforms(json!({"transform": given})), name);
        assert_eq!(transforms(json!({"transform": none})), Transforms(None));
    }
}
