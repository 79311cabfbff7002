//! Archives as people pack them, and as an attacker would.

use super::*;
use tar::{Builder, Header};

type Entry<'a> = (&'a str, EntryType, &'a [u8]);
const FILE: EntryType = EntryType::Regular;

/// A tar, written byte by byte because the `tar` crate would refuse some entries.
fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, data) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, *data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn unpack_bytes(bytes: &[u8]) -> Result<Unpacked> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    unpack(file.path())
}

fn message(bytes: &[u8]) -> String {
    unpack_bytes(bytes).unwrap_err().to_string()
}

const MODEL: [Entry; 4] = [
    ("./ffhq/", EntryType::Directory, b""),
    ("./ffhq/readme.txt", FILE, b"not unpacked"),
    ("./ffhq/config.yaml", FILE, b"arch:"),
    ("./ffhq/model.pt", FILE, &[7; 3000]),
];

#[test]
fn a_published_folder_is_unpacked_and_removed_on_drop() {
    for bytes in [tar_of(&MODEL), gzip(&tar_of(&MODEL))] {
        let unpacked = unpack_bytes(&bytes).unwrap();
        let model = unpacked.only().unwrap().clone();
        let config = model.config.unwrap();
        assert_eq!(std::fs::read(&config).unwrap(), b"arch:");
        assert_eq!(std::fs::read(&model.weights).unwrap(), [7; 3000]);
        assert!(!config.with_file_name("readme.txt").exists());
        assert!(model.shown.ends_with("ffhq/model.pt") && !model.shown.starts_with(unpacked.folder.path()));
        drop(unpacked);
        assert!(!model.weights.exists());
    }
}

#[test]
fn two_stages_keep_their_relative_paths() {
    let stage =
        |n: u8| [(format!("m/stage{n}/config.yaml"), vec![n]), (format!("m/stage{n}/model.pt"), vec![n])];
    let files: Vec<_> = [1, 2].into_iter().flat_map(stage).collect();
    let entries: Vec<Entry> = files.iter().map(|(name, data)| (&name[..], FILE, &data[..])).collect();
    let unpacked = unpack_bytes(&tar_of(&entries)).unwrap();
    let error = unpacked.only().unwrap_err().to_string();
    assert!(error.contains("found m/stage1/model.pt, m/stage2/model.pt"), "{error}");
    let [first, second] = unpacked.models() else { panic!("{unpacked:?}") };
    let across = second.weights.parent().unwrap().join("../stage1/model.pt");
    assert_eq!(std::fs::read(across).unwrap(), std::fs::read(&first.weights).unwrap());
}

#[test]
fn entries_that_could_lead_outside_are_refused_by_name() {
    for (name, kind, expected) in [
        ("../model.pt", FILE, "leads outside"),
        ("a/../../model.pt", FILE, "leads outside"),
        ("/tmp/model.pt", FILE, "leads outside"),
        ("../readme", FILE, "leads outside"),
        ("model.pt", EntryType::Symlink, "is a link"),
        ("model.pt", EntryType::Link, "is a link"),
        ("model.pt", EntryType::Char, "is a device"),
        ("model.pt", EntryType::Block, "is a device"),
        ("model.pt", EntryType::Fifo, "is a device"),
        ("model.pt", EntryType::new(b'V'), "unknown kind"),
    ] {
        let found = message(&tar_of(&[("config.yaml", FILE, b""), (name, kind, b"")]));
        assert!(found.contains(expected) && found.contains(name), "{found}");
    }
}

#[test]
fn a_truncated_or_damaged_archive_is_an_error() {
    let tar = tar_of(&MODEL);
    let packed = gzip(&tar);
    for sixteenth in 0..16 {
        assert!(unpack_bytes(&packed[..packed.len() * sixteenth / 16]).is_err(), "{sixteenth}");
        // A tar ends with two empty blocks: without them it may still be whole.
        assert!(unpack_bytes(&tar[..(tar.len() - 2048) * sixteenth / 16]).is_err(), "{sixteenth}");
    }
    let mut flipped = packed.clone();
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    assert!(message(&flipped).contains("not a complete .tar"), "{}", message(&flipped));
    assert!(message(b"some text").contains("not a complete .tar"));
    for (bytes, expected) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..], "found a Git LFS pointer"),
        (b"<!DOCTYPE html><title>Sign in</title>", "found a web page"),
        (b"\xfd7zXZ\0", "found xz: unpack it first"),
    ] {
        let found = message(bytes);
        assert!(found.contains(&format!("expected a .tar or .tar.gz, {expected}")), "{found}");
    }
    assert!(message(b"").contains("expected config.yaml and weights"));
    assert!(message(&[b'x'; 2000]).contains("not a complete .tar"));
}

#[test]
fn a_huge_name_is_not_read_into_memory() {
    let name = vec![b'n'; 8 << 20];
    let bytes = gzip(&tar_of(&[MODEL[2], ("././@LongLink", EntryType::GNULongName, &name), MODEL[3]]));
    assert!(bytes.len() < 100_000);
    assert!(message(&bytes).contains("header is larger"), "{}", message(&bytes));
}

#[test]
fn the_wrong_number_of_files_is_an_error() {
    let config = ("m/config.yaml", FILE, &b""[..]);
    for (entries, expected) in [
        (vec![config], "beside the configuration, found none"),
        (vec![("m/a.pt", FILE, &b""[..])], "expected config.yaml beside the weights"),
        (vec![config, ("m/a.pt", FILE, b""), ("m/b.pt", FILE, b"")], "found a.pt, b.pt"),
        (vec![config, ("m/sub/a.pt", FILE, b"")], "beside the configuration, found none"),
    ] {
        let found = message(&tar_of(&entries));
        assert!(found.contains(expected), "{found}");
    }
    let unpacked =
        unpack_bytes(&tar_of(&[config, ("m/a.pt", FILE, b""), ("m/model.pt", FILE, b"")])).unwrap();
    assert!(unpacked.only().unwrap().weights.ends_with("m/model.pt"));
}

#[test]
fn whatever_is_no_models_file_is_passed_over() {
    let extra = [
        ("ffhq/latest", EntryType::Symlink, &b""[..]),
        ("ffhq/notes.txt", EntryType::Link, b""),
        ("ffhq/pipe", EntryType::Fifo, b""),
        ("ffhq/odd", EntryType::new(b'V'), b""),
        ("judges/vgg.pth", FILE, b"without a configuration"),
        ("settings/config.yaml", FILE, b"without weights"),
    ];
    let unpacked = unpack_bytes(&tar_of(&[&MODEL[..], &extra].concat())).unwrap();
    assert!(unpacked.only().unwrap().weights.ends_with("ffhq/model.pt"));
    assert!(!unpacked.folder.path().join("ffhq/latest").is_symlink());
}

#[test]
fn the_last_entry_of_a_name_is_the_file() {
    let newer = [("ffhq/model.pt", FILE, &b"newer"[..])];
    let unpacked = unpack_bytes(&tar_of(&[&MODEL[..], &newer].concat())).unwrap();
    assert_eq!(std::fs::read(&unpacked.only().unwrap().weights).unwrap(), b"newer");
}

#[test]
fn the_latest_checkpoint_stands_for_a_run() {
    let header = r#"{"__metadata__":{"config":"arch:","format":"residua"}}"#;
    let carried = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let file = |name| (name, FILE, &carried[..]);
    let entries = [
        ("run/config.yaml", FILE, &b"arch:"[..]),
        ("run/run.json", FILE, b"{}"),
        file("run/checkpoints/00000090/model.safetensors"),
        ("run/checkpoints/00000090/training.safetensors", FILE, b"none"),
        file("run/checkpoints/00000100/model.safetensors"),
        file("run/stage1/model.safetensors"),
    ];
    let unpacked = unpack_bytes(&tar_of(&entries)).unwrap();
    let found: Vec<_> = unpacked.models().iter().map(|model| &model.weights).collect();
    let [stage2, stage1] = found[..] else { panic!("{found:?}") };
    assert!(stage2.ends_with("run/checkpoints/00000100/model.safetensors"), "{stage2:?}");
    assert!(stage1.ends_with("run/stage1/model.safetensors"), "{stage1:?}");
}

#[test]
fn a_taming_run_keeps_its_configuration_in_another_folder() {
    let entries = [
        ("logs/checkpoints/last.ckpt", FILE, &b""[..]),
        ("logs/configs/2021-01-01T00-00-00-lightning.yaml", FILE, b""),
        ("logs/configs/2021-01-01T00-00-00-project.yaml", FILE, b""),
    ];
    let unpacked = unpack_bytes(&tar_of(&entries)).unwrap();
    let model = unpacked.only().unwrap();
    assert!(model.config.as_ref().is_some_and(|config| config.ends_with("2021-01-01T00-00-00-project.yaml")));
}

#[test]
fn a_full_disk_or_a_missing_folder_is_reported() {
    let error = unwritable(ErrorKind::StorageFull.into()).to_string();
    assert!(error.contains("the disk is full; free some space"), "{error}");
    let missing = tempfile::tempdir_in("/none").unwrap_err();
    let error = unwritable(missing).to_string();
    assert!(error.contains("set TMPDIR to a folder") && !error.contains(".tmp"), "{error}");
}
