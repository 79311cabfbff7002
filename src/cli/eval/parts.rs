//! `--part`: measures a part of the pictures and writes the sums to a file, for `eval merge`. Under `mpirun`, each rank
//! measures its part, and rank 0 merges the sums of all.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::output::{Console, shown};
use super::super::ranks;
use super::super::target::{ForceArguments, Target};
use super::merge::MergeParts;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::part::Part;
use residua_metrics::merge::Merge;
use residua_weights::file::hexadecimal;

/// The file extension of sums.
const ENDING: &str = "sums";

/// Size limit of the first line of a file, in bytes.
const LONGEST: u64 = 1 << 20;

/// Size limit of a file, in bytes: some hundred sets of Inception's features.
const LARGEST: u64 = 8 << 30;

/// What one command measures: all that its parts have in common, and that figures need in addition to sums.
pub trait Setting: Serialize + DeserializeOwned {
    /// The name of the command.
    const COMMAND: &'static str;
    /// Sums over pictures.
    type Sums: Merge + Serialize + DeserializeOwned;

    /// The figures of all pictures, as JSON and as text.
    fn result(&self, sums: Self::Sums) -> Result<(Value, String)>;
}

/// Measures only a part.
#[derive(Args)]
pub struct PartArguments {
    /// Measure only pictures I, I + N, I + 2 N and so on, and write partial sums instead of metrics. N processes, with I from
    /// 0 to N - 1, measure all pictures; then `eval merge` prints the metrics.
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
    /// With --part: .sums file to write. [default: named after the command and the part, such as fid-0-of-4.sums]
    #[arg(long, value_name = "FILE", requires = "part")]
    sums: Option<PathBuf>,
    /// With --part: replace an existing .sums file.
    #[arg(long, requires = "part")]
    force: bool,
}

/// The part that this process measures, and where its result goes.
pub struct OwnPart {
    /// The part.
    pub part: Part,
    /// The file of sums; `None` if the figures of all pictures are printed.
    target: Option<Target>,
}

impl PartArguments {
    /// The part for the command of the setting `S`.
    ///
    /// # Errors
    /// The file of sums cannot be written.
    pub fn open<S: Setting>(&self, console: &Console) -> Result<OwnPart> {
        let part = ranks::part(console.world(), self.part)?;
        if self.part.is_none() {
            return Ok(OwnPart { part, target: None });
        }
        let name = format!("{}-{}-of-{}.{ENDING}", S::COMMAND, part.index(), part.count());
        let path = self.sums.clone().unwrap_or_else(|| PathBuf::from(name));
        let target = Target::given(&path, ENDING, ForceArguments::new(self.force), console)?;
        Ok(OwnPart { part, target: Some(target) })
    }
}

impl OwnPart {
    /// What only a setting of parts needs, as it takes time to compute; `None` for all pictures.
    pub fn of_parts<T>(&self, compute: impl FnOnce() -> T) -> Option<T> {
        (self.target.is_some() || self.part != Part::WHOLE).then(compute)
    }

    /// Prints the figures, of all ranks together, or writes the sums of a part.
    pub fn finish<S: Setting>(&self, setting: &S, sums: S::Sums, console: &Console) -> Result<()> {
        let Some(target) = &self.target else {
            if !console.world().is_alone() {
                return merged(encode(self.part, setting, &sums)?, console);
            }
            let (value, text) = setting.result(sums)?;
            return console.result(value, &text);
        };
        let path = target.save(&encode(self.part, setting, &sums)?)?;
        console.wrote(&path);
        let text = format!("sums of part {}: give the files of all parts to `residua eval merge`", self.part);
        console.result(json!({ "sums": shown(&path), "part": self.part }), &text)
    }
}

/// Prints the figures from the sums of all ranks; `own` are this rank's, as in a file.
fn merged(own: Vec<u8>, console: &Console) -> Result<()> {
    let all = console.world().gather(own);
    if !console.world().leads() {
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    let save = |(rank, bytes): (usize, &Vec<u8>)| {
        let path = folder.path().join(format!("rank-{rank}.{ENDING}"));
        files::save(&path, bytes).map(|()| path)
    };
    let files = all.iter().enumerate().map(save).collect::<Result<Vec<PathBuf>>>()?;
    MergeParts::of(files).run(console)
}

/// The first line of a file of sums, in JSON. The sums follow as MessagePack, which keeps every bit of a float.
#[derive(Serialize, Deserialize)]
pub struct Head {
    /// Version of Residua.
    pub residua: String,
    /// The command.
    pub command: String,
    /// The part.
    pub part: Part,
    /// The [`Setting`].
    pub setting: serde_json::Map<String, Value>,
    /// SHA-256 of the sums.
    sha256: String,
}

fn encode<S: Setting>(part: Part, setting: &S, sums: &S::Sums) -> Result<Vec<u8>> {
    let body = rmp_serde::to_vec_named(sums).map_err(Error::invalid)?;
    let head = json!({
        "residua": env!("CARGO_PKG_VERSION"), "command": S::COMMAND, "part": part, "setting": setting,
        "sha256": sha256(&body),
    });
    Ok([head.to_string().as_bytes(), b"\n", &body].concat())
}

impl Head {
    /// Reads the first line of the file at `path`.
    ///
    /// # Errors
    /// It is not a file of sums.
    pub fn read(path: &Path) -> Result<Self> {
        let file = files::open(path)?;
        let mut start = vec![0; file.size().min(LONGEST) as usize];
        file.read_exact_at(&mut start, 0).map_err(Error::io("read", path))?;
        let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(line).map_err(|_| not_sums(path))
    }

    /// Reads the sums in the file at `path`, whose first line this is.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn sums<S: Setting>(&self, path: &Path) -> Result<S::Sums> {
        let bytes = files::read_limited(path, LARGEST)?;
        let start = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
        let body = &bytes[start..];
        if sha256(body) != self.sha256 {
            return Err(Error::invalid(format!(
                "{}: expected sums with the hash in its first line, found a damaged file: measure part {} again",
                path.display(),
                self.part
            )));
        }
        rmp_serde::from_slice(body).map_err(|_| not_sums(path))
    }
}

fn not_sums(path: &Path) -> Error {
    Error::invalid(format!(
        "{}: expected sums written by `residua eval` with --part, found another file",
        path.display()
    ))
}

/// SHA-256 of `bytes`, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}
