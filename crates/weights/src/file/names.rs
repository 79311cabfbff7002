//! The names of a file's tensors, made to fit a model.

use std::collections::HashSet;

use super::{TensorInfo, WeightFile};
use crate::wrappers::unwrap_wanted;
use residua_core::config::Renamed;
use residua_core::error::{Error, Result};

impl WeightFile {
    pub(super) fn sorted(mut self) -> Self {
        self.tensors.sort_by(|one, other| one.name.cmp(&other.name));
        self
    }

    /// Removes the prefix of the tensors named `wanted`, if a wrapper gave them one.
    pub fn fitted(mut self, wanted: &HashSet<&str>) -> Self {
        unwrap_wanted(&mut self.tensors, wanted);
        self.sorted()
    }

    /// Renames tensors to our models' names, and drops others, as `names` says.
    pub fn renamed(mut self, names: &[Renamed]) -> Self {
        let renamed = |tensor: &TensorInfo| {
            let known =
                |(theirs, ours): &Renamed| Some((tensor.name.strip_prefix(theirs)?.to_owned(), *ours));
            names.iter().find_map(known)
        };
        self.tensors.retain_mut(|tensor| match renamed(tensor) {
            Some((rest, Some(ours))) => {
                tensor.name = format!("{ours}{rest}");
                true
            }
            Some((_, None)) => false,
            None => true,
        });
        self.sorted()
    }

    /// Removes the tensors whose names start with one of `prefixes`.
    ///
    /// # Errors
    /// [`Error::Usage`] if no name starts with one of them.
    pub fn without(mut self, prefixes: &[String]) -> Result<Self> {
        for prefix in prefixes {
            let count = self.tensors.len();
            self.tensors.retain(|tensor| !tensor.name.starts_with(prefix.as_str()));
            if self.tensors.len() == count {
                return Err(Error::usage(format!(
                    "{}: expected tensors named {prefix}…, found none",
                    self.name
                )));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use residua_core::config::StateKind;

    use super::super::tests::safetensors;
    use super::*;

    #[test]
    fn prefixes_common_to_all_names_are_removed() {
        let named = |names: &[&str]| {
            let tensors: Vec<_> = names.iter().map(|&name| (name, "F32", 4)).collect();
            let file = WeightFile::from_bytes("w", safetensors(&tensors), StateKind::Auto).unwrap();
            file.tensors().iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named(&["module.a", "module.b"]), ["a", "b"]);
        assert_eq!(named(&["module.module.a", "module.b"]), ["b", "module.a"]);
        assert_eq!(named(&["module.a", "b"]), ["b", "module.a"]);
        assert_eq!(named(&["state_dict.model._orig_mod.a", "state_dict.model._orig_mod.b"]), ["a", "b"]);
        // Tensors beside the model do not count.
        assert_eq!(named(&["model.a", "model.b", "loss.model.c"]), ["a", "b", "loss.model.c"]);
        // Wrappers of single layers.
        assert_eq!(
            named(&["a._orig_mod.b", "_fsdp_wrapped_module.a._checkpoint_wrapped_module.c", "d"]),
            ["a.b", "a.c", "d"]
        );
        assert!(named(&[]).is_empty());
    }

    #[test]
    fn tensors_are_renamed_by_their_prefixes() {
        let bytes = safetensors(&[("a.b", "F32", 4), ("loss.x", "F32", 4), ("q.weight", "F32", 4)]);
        let file = WeightFile::from_bytes("w", bytes, StateKind::Auto).unwrap();
        let file = file.renamed(&[("q.", Some("a.a.")), ("loss.", None)]);
        let names: Vec<_> = file.tensors().iter().map(|tensor| &tensor.name[..]).collect();
        assert_eq!(names, ["a.a.weight", "a.b"]);
        assert!(file.get("a.a.weight").is_some());
    }
}
