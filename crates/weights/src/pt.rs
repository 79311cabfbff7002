//! PyTorch's `.pt` files: finds the tensors of one state dict, or of a TorchScript program, in the zip,
//! without running or loading any of it.

use super::available::Available;
use super::chosen::{Chosen, choose};
use super::extent::{Part, place};
use super::pickle::Pickle;
use super::tensor::{Dtype, TensorInfo};
use super::zipped::Archive;
use residua_core::config::StateKind;
use residua_core::error::Result;
use residua_core::files::bytes::ByteSource;

/// Advice for a `.pt` file of an unsupported kind.
pub(super) const RE_SAVE: &str = "load it and save it again with torch.save of PyTorch 1.6 or newer";

/// The tensors of one state dict.
#[derive(Debug)]
pub(super) struct Pt {
    pub tensors: Vec<TensorInfo>,
    pub kind: StateKind,
    pub available: Available,
    /// The uncompressed content, if the tensors' offsets refer to that rather than to the file.
    pub unpacked: Option<ByteSource>,
}

/// Finds the tensors of the `.pt` in `source`.
///
/// # Errors
/// It is damaged, encrypted, big-endian or tries to run code, or it does not have the requested weights.
pub(super) fn read(source: &ByteSource, wanted: StateKind) -> Result<Pt> {
    let archive = Archive::open(source)?;
    archive.check_byte_order()?;
    let bytes = archive.read("data.pkl")?;
    let part = |key: &str| archive.files.get(&format!("data/{key}")).copied();
    let pt = of_pickle(&Pickle::parse(&bytes)?, wanted, archive.content().len(), part)?;
    Ok(Pt { unpacked: archive.unpacked, ..pt })
}

/// The tensors that `pickle` names, in a file of `len` bytes whose storages are at the places that `part`
/// returns.
pub(super) fn of_pickle(
    pickle: &Pickle<'_>,
    wanted: StateKind,
    len: u64,
    part: impl Fn(&str) -> Option<Part>,
) -> Result<Pt> {
    let Chosen { named, kind, available } = choose(pickle, wanted)?;
    let mut tensors = Vec::new();
    for (name, tensor) in named {
        match place(name, tensor, part(tensor.storage.key), len) {
            // Its position does not matter.
            Err(_) if matches!(tensor.storage.dtype, Dtype::Other(..)) => {}
            placed => tensors.push(placed?),
        }
    }
    Ok(Pt { tensors, kind, available, unpacked: None })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::pickle::MAX_BYTES;
    use super::super::pickle::tests::{dict, global, int, pickled, storage, tensor, text, tuple};
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    /// A file's name and bytes.
    type Part<'a> = (&'a str, &'a [u8]);

    /// A `.pt` with the given files below one folder.
    fn pt_of(files: &[Part]) -> ByteSource {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in files {
            zip.start_file(format!("model/{name}"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        ByteSource::Memory(zip.finish().unwrap().into_inner().into())
    }

    pub fn of_pickle(value: &[u8]) -> Result<Pt> {
        read(&pt_of(&[("data.pkl", &pickled(value)), ("data/0", &[0; 24])]), StateKind::Auto)
    }

    pub fn message(result: Result<Pt>) -> String {
        result.unwrap_err().to_string()
    }

    fn weight() -> Vec<u8> {
        tensor(storage("FloatStorage", "0", 6), 0, &[2, 3], &[3, 1])
    }

    fn names(pt: &Pt) -> Vec<&str> {
        pt.tensors.iter().map(|tensor| tensor.name.as_str()).collect()
    }

    #[test]
    fn nested_and_circular_modules_terminate() {
        let module =
            |attributes: &[u8]| [&global("__torch__.m", "M")[..], b")\x81", attributes, b"b"].concat();
        // A module that contains itself, and that another contains twice.
        let inner = [&b"}(X\x01\0\0\0w"[..], &weight(), b"X\x01\0\0\0mh\x07u"].concat();
        let inner = [&global("__torch__.m", "M")[..], b")\x81q\x07", &inner, b"b"].concat();
        let outer = module(&dict(&[("a", inner), ("b", b"h\x07".to_vec()), ("n", int(1))]));
        assert_eq!(names(&of_pickle(&outer).unwrap()), ["a.w"]);
        // Names that would take more space than the file.
        let long = "n".repeat(1 << 20);
        let nested = (0..12).fold(weight(), |inner, _| module(&dict(&[(&long, inner)])));
        let error = message(of_pickle(&nested));
        assert!(error.contains("expected tensor names of at most 16777216 bytes"), "{error}");
    }

    #[test]
    fn the_requested_kind_is_loaded() {
        let (state, ema) = (dict(&[("trained", weight())]), dict(&[("averaged", weight())]));
        let both = dict(&[("state_dict", state.clone()), ("state_dict_ema", ema.clone())]);
        let only_state = dict(&[("state_dict", state), ("state_dict_ema", b"N".into())]);
        let only_ema = dict(&[("state_dict_ema", ema)]);
        let bare = dict(&[("trained", weight())]);
        let judged = dict(&[
            ("state_dict", dict(&[("trained", weight())])),
            ("discriminator", dict(&[("judging", weight())])),
        ]);
        use StateKind::{Auto, Discriminator, Ema, State};
        for (pickle, wanted, expected) in [
            (&both, Auto, Ok((State, "trained"))),
            (&both, Ema, Ok((Ema, "averaged"))),
            (&both, State, Ok((State, "trained"))),
            (&only_state, Auto, Ok((State, "trained"))),
            (&only_state, Ema, Err("no EMA weights (state_dict_ema)")),
            (&only_ema, Auto, Ok((Ema, "averaged"))),
            (&only_ema, State, Err("no trained weights (state_dict)")),
            (&bare, Auto, Ok((State, "trained"))),
            (&tuple(&[int(3), bare.clone(), both.clone()]), Auto, Ok((State, "trained"))),
            (&[b"](", &both[..], &int(3), b"e"].concat(), Ema, Ok((Ema, "averaged"))),
            (&judged, Auto, Ok((State, "trained"))),
            (&judged, Discriminator, Ok((Discriminator, "judging"))),
            (&both, Discriminator, Err("no discriminator")),
            (&bare, Ema, Err("no EMA weights")),
        ] {
            let source = pt_of(&[("data.pkl", &pickled(pickle)), ("data/0", &[0; 24])]);
            match (read(&source, wanted), expected) {
                (Ok(pt), Ok((kind, name))) => assert_eq!((pt.kind, names(&pt)), (kind, vec![name])),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, expected) => panic!("expected {expected:?}, found {found:?}"),
            }
        }
    }

    #[test]
    fn one_of_several_equal_names_is_kept() {
        let pt = of_pickle(&dict(&[("a", weight()), ("a", weight()), ("b", weight())])).unwrap();
        assert_eq!(names(&pt), ["a", "b"]);
    }

    #[test]
    fn nested_state_dicts_are_found() {
        let state = || dict(&[("w", weight())]);
        let nested = |keys: &[&str]| keys.iter().rev().fold(state(), |inner, key| dict(&[(key, inner)]));
        for keys in [
            &["model"][..],
            &["state_dict", "model"],
            &["model", "state_dict"],
            &["model_state_dict"],
            &["state_dict", "model", "module", "net"],
        ] {
            let pt = of_pickle(&nested(keys)).unwrap();
            assert_eq!((names(&pt), pt.kind), (vec!["w"], StateKind::State), "{keys:?}");
        }
        let lightning = dict(&[
            ("epoch", int(3)),
            ("callbacks", dict(&[("w", weight())])),
            ("optimizer_states", b"]".into()),
            ("state_dict", state()),
        ]);
        assert_eq!(names(&of_pickle(&lightning).unwrap()), ["w"]);
        // Under any other key, or part by part.
        for (keys, expected) in [(&["vae"][..], "vae.w"), (&["a", "b"], "a.b.w")] {
            let pt = of_pickle(&nested(keys)).unwrap();
            assert_eq!((names(&pt), pt.kind), (vec![expected], StateKind::State));
        }
        let parts = dict(&[("encoder", state()), ("decoder", state()), ("epoch", int(3))]);
        let mut found = of_pickle(&parts).unwrap();
        found.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(names(&found), ["decoder.w", "encoder.w"]);
        let both = dict(&[("step", weight()), ("model_ema", dict(&[("averaged", weight())]))]);
        let pt = of_pickle(&both).unwrap();
        assert_eq!((names(&pt), pt.available), (vec!["averaged"], Available { state: false, ema: true }));
    }

    #[test]
    fn tensors_of_unsupported_types_do_not_block_others() {
        for (class, elements) in [("ComplexFloatStorage", 3), ("QUInt4x2Storage", 48), ("QInt8Storage", 24)] {
            let odd = tensor(storage(class, "0", elements), 0, &[elements], &[1]);
            let pt = of_pickle(&dict(&[("odd", odd), ("w", weight())])).unwrap();
            assert!(names(&pt).contains(&"w"), "{class}");
        }
    }

    #[test]
    fn a_pickle_that_tries_to_run_code_is_refused() {
        let attack = [global("os", "system"), tuple(&[text("echo")]), b"R".into()].concat();
        let found = message(of_pickle(&dict(&[("state_dict", dict(&[("w", weight())])), ("x", attack)])));
        assert!(found.contains("the pickle wants to call os.system; nothing was run"), "{found}");
    }

    #[test]
    fn files_without_weights_are_refused() {
        let pickle = pickled(&dict(&[("w", weight())]));
        let cases: [(&[Part], &str); 4] = [
            (&[("other", b"")], "expected data.pkl in the zip"),
            (&[("data.pkl", &pickled(&int(3)))], "expected weights, found none"),
            (&[("data.pkl", &pickle), ("data/0", &[0; 24]), ("byteorder", b"big")], "not little-endian"),
            (&[("data.pkl", &vec![b'N'; MAX_BYTES + 1])], "expected at most"),
        ];
        for (files, expected) in cases {
            let found = message(read(&pt_of(files), StateKind::Auto));
            assert!(found.contains(expected), "{found}");
        }
    }

    /// A `.pt` whose first directory entry has `value` at `place`.
    fn with_directory(place: usize, value: &[u8]) -> ByteSource {
        let ByteSource::Memory(bytes) = pt_of(&[("data.pkl", b"N.")]) else { unreachable!() };
        let mut bytes = bytes.to_vec();
        let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[directory + place..][..value.len()].copy_from_slice(value);
        ByteSource::Memory(bytes.into())
    }

    #[test]
    fn an_entry_beyond_the_file_is_refused() {
        let found = message(read(&with_directory(20, &(1u32 << 30).to_le_bytes()), StateKind::Auto));
        assert!(found.contains("\"data.pkl\" ends beyond the file's"), "{found}");
    }

    /// Its size in the directory is what memory was set aside for.
    #[test]
    fn a_compressed_entry_of_another_size_is_refused() {
        let pickle = pickled(&dict(&[("w", weight())]));
        let ByteSource::Memory(bytes) = deflated(&[("data.pkl", &pickle)]) else { unreachable!() };
        let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        for size in [pickle.len() as u32 - 1, pickle.len() as u32 + 1] {
            let mut bytes = bytes.to_vec();
            bytes[directory + 24..][..4].copy_from_slice(&size.to_le_bytes());
            let found = message(read(&ByteSource::Memory(bytes.into()), StateKind::Auto));
            assert!(found.contains("not a complete .pt file"), "{found}");
        }
    }

    fn deflated(files: &[Part]) -> ByteSource {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, bytes) in files {
            zip.start_file(format!("model/{name}"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        ByteSource::Memory(zip.finish().unwrap().into_inner().into())
    }

    #[test]
    fn a_compressed_file_is_decompressed() {
        let pickle = pickled(&dict(&[("w", weight())]));
        let values: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let source = deflated(&[("data/0", &values), ("data.pkl", &pickle), ("byteorder", b"little")]);
        let pt = read(&source, StateKind::Auto).unwrap();
        let [tensor] = &pt.tensors[..] else { panic!("{pt:?}") };
        let mut found = Vec::new();
        tensor.for_each_piece(pt.unpacked.as_ref().unwrap(), |piece| found.extend_from_slice(piece)).unwrap();
        assert_eq!(found, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let bomb = deflated(&[("data.pkl", &pickle), ("data/0", &vec![0; 1 << 20])]);
        assert!(bomb.len() < 10_000);
        assert!(message(read(&bomb, StateKind::Auto)).contains("more than 32 times its size"));
    }
}
