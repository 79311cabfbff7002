//! `residua eval merge`: the figures of all parts.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::super::output::Console;
use super::parts::{Head, Setting};
use super::{clip, fid, likelihood, reconstruction, rfid, samples};
use residua_core::error::{Error, Result};
use residua_metrics::merge::Merge;

/// Print the metrics of pictures that were measured in parts, from the .sums files of all parts.
#[derive(Args)]
pub struct MergeParts {
    /// The files that the parts wrote, in any order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file of sums.
struct Part<'a> {
    path: &'a Path,
    head: Head,
}

/// How the figures of a command come from its parts.
type Figures = fn(&[Part]) -> Result<(Value, String)>;

/// Each command that measures in parts.
const COMMANDS: [(&str, Figures); 6] = [
    of::<clip::Measurement>(),
    of::<fid::Measurement>(),
    of::<likelihood::Measurement>(),
    of::<reconstruction::Measurement>(),
    of::<rfid::Measurement>(),
    of::<samples::Measurement>(),
];

const fn of<S: Setting>() -> (&'static str, Figures) {
    (S::COMMAND, figures::<S>)
}

impl MergeParts {
    /// The parts in `files`.
    pub fn of(files: Vec<PathBuf>) -> Self {
        Self { files }
    }

    /// Prints what the command would have printed for all pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        let read = |path| Ok(Part { path, head: Head::read(path)? });
        let mut parts = self.files.iter().map(PathBuf::as_path).map(read).collect::<Result<Vec<Part>>>()?;
        parts.sort_by_key(|part| part.head.part.index());
        parts.iter().try_for_each(|part| check_same(&parts[0], part))?;
        check_all(&parts)?;
        let command = &parts[0].head.command;
        let (_, figures) = COMMANDS.iter().find(|(name, _)| name == command).ok_or_else(|| {
            Error::invalid(format!(
                "{}: expected sums of a known command, found those of {command}",
                parts[0].path.display()
            ))
        })?;
        let (value, text) = figures(&parts)?;
        console.result(value, &text)
    }
}

/// The figures from the sums of all `parts`, which are of the setting `S`.
fn figures<S: Setting>(parts: &[Part]) -> Result<(Value, String)> {
    let (first, rest) = parts.split_first().expect("at least one file is required");
    let mut sums = first.head.sums::<S>(first.path)?;
    rest.iter().try_for_each(|part| sums.merge(part.head.sums::<S>(part.path)?))?;
    let setting: S = serde_json::from_value(Value::Object(first.head.setting.clone())).map_err(|error| {
        Error::invalid(format!("{}: its first line cannot be read: {error}", first.path.display()))
    })?;
    setting.result(sums)
}

/// Refuses a part of something other than the `first`.
fn check_same(first: &Part, part: &Part) -> Result<()> {
    let expected = said(&first.head);
    for (name, found) in said(&part.head) {
        let expected = expected.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        if expected != Some(&found) {
            return Err(Error::usage(format!(
                "{}: expected {name} {} as in {}, found {found}: merge the parts of one command",
                part.path.display(),
                expected.map_or("none".into(), ToString::to_string),
                first.path.display()
            )));
        }
    }
    Ok(())
}

/// What all parts of one command have in common.
fn said(head: &Head) -> Vec<(&str, Value)> {
    let Head { residua, command, part, setting, .. } = head;
    let program = [
        ("version", Value::from(residua.as_str())),
        ("command", command.as_str().into()),
        ("number of parts", part.count().into()),
    ];
    program.into_iter().chain(setting.iter().map(|(name, value)| (name.as_str(), content(value)))).collect()
}

/// The same with each model and file by its content alone, since it may have moved.
fn content(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.get("sha256").cloned().unwrap_or_else(|| {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), content(value))).collect())
        }),
        other => other.clone(),
    }
}

/// Refuses a missing or doubled part. The parts are sorted.
fn check_all(parts: &[Part]) -> Result<()> {
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].head.part == pair[1].head.part) {
        return Err(Error::usage(format!(
            "expected each part once, found part {} in {} and in {}: leave one out",
            pair[0].head.part,
            pair[0].path.display(),
            pair[1].path.display()
        )));
    }
    let count = parts[0].head.part.count();
    match (0..count).find(|&index| parts.iter().all(|part| part.head.part.index() != index)) {
        None => Ok(()),
        Some(missing) => Err(Error::usage(format!(
            "expected all {count} parts, found none with --part {missing}/{count}: give its file, too"
        ))),
    }
}
