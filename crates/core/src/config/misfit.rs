//! Error messages for values of the wrong type. serde's messages name Rust types, which mean nothing to the
//! author of a configuration file.

/// serde's names for types, and the names in our messages.
const EXPECTED: &[(&str, &str)] = &[
    ("usize", WHOLE),
    ("u64", WHOLE),
    ("u32", WHOLE),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a string", "text"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", KEYS),
    ("struct ", KEYS),
    ("an array of length ", "a list of "),
    ("tuple ", "a list"),
];
const WHOLE: &str = "a whole number, 0 or more";
const KEYS: &str = "a mapping";

/// serde's names for values, and the names in our messages. serde puts literal values in backticks or quotes.
const FOUND: &[(&str, &str)] =
    &[("null", "nothing"), ("unit value", "nothing"), ("map", KEYS), ("sequence", "a list")];

/// The message for the key at `path` of the document, from serde's `message`.
pub fn said(path: &str, message: &str) -> String {
    let what = sentence(message);
    if path.is_empty() { what } else { format!("{path}: {what}") }
}

fn sentence(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("expected a key {field}, found none");
    }
    if let Some((found, expected)) =
        message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected "))
    {
        return format!("expected {}, found {found}", expected.replace('`', ""));
    }
    let parts = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once(", expected "));
    let Some((found, expected)) = parts else { return message.to_owned() };
    let said = format!("expected {}, found {}", expected_as(expected), found_as(found));
    if found.contains("${") {
        return format!("{said}: an OmegaConf reference, to be replaced by its value");
    }
    said
}

fn expected_as(expected: &str) -> String {
    if let Some(count) = expected.strip_suffix(" elements in sequence") {
        return format!("a list of {count}");
    }
    match EXPECTED.iter().find_map(|&(start, said)| Some((expected.strip_prefix(start)?, said))) {
        Some((rest, said)) if said.ends_with(' ') => format!("{said}{rest}"),
        Some((_, said)) => said.into(),
        None => expected.into(),
    }
}

fn found_as(found: &str) -> &str {
    if let Some((_, said)) = FOUND.iter().find(|(name, _)| *name == found) {
        return said;
    }
    // A literal value from the file: floating point `32.0`, string "a".
    let quoted = |quote: char| Some(&found[found.find(quote)?..=found.rfind(quote)?]);
    quoted('"').or_else(|| quoted('`').map(|value| value.trim_matches('`'))).unwrap_or(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Config;

    #[test]
    fn values_of_the_wrong_type_are_reported_with_their_keys() {
        let arch = |hparams: serde_json::Value| json!({"arch": {"type": "rq-vae", "hparams": hparams}});
        for (document, expected) in [
            (json!(null), "c: expected a mapping, found nothing"),
            (json!({}), "c: expected a key arch, found none"),
            (arch(json!(3)), "c: arch.hparams: expected a mapping, found 3"),
            (arch(json!({"bottleneck_type": 1})), "c: arch.hparams.bottleneck_type: expected text, found 1"),
            (
                arch(json!({"embed_dim": 32.5})),
                "c: arch.hparams.embed_dim: expected a whole number, 0 or more, found 32.5",
            ),
            (
                arch(json!({"embed_dim": "${arch.ddconfig.z_channels}"})),
                "c: arch.hparams.embed_dim: expected a whole number, 0 or more, found \"${arch.ddconfig.z_channels}\": \
                 an OmegaConf reference, to be replaced by its value",
            ),
            (arch(json!({"loss_type": "l3"})), "c: arch.hparams.loss_type: expected mse or l1, found l3"),
            (
                arch(json!({"latent_shape": [1, 2]})),
                "c: arch.hparams.latent_shape: expected a list of 3, found 2",
            ),
            (
                arch(json!({"n_embed": "many"})),
                "c: arch.hparams.n_embed: expected one value, or a list with one for each depth, found something else",
            ),
        ] {
            let message = Config::from_document("c", document).unwrap_err().to_string();
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn errors_about_invalid_yaml_do_not_mention_internals() {
        for text in ["arch: 1\narch: 2", "arch: 1\n---\narch: 2", "a: *b", "arch: ["] {
            let message = Config::parse("c", text).unwrap_err().to_string();
            assert!(message.starts_with("c: not a YAML configuration: "), "{message}");
            for internal in ["Options", "Policy", "from_str", "struct"] {
                assert!(!message.contains(internal), "{message}");
            }
        }
    }
}
