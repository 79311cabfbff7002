//! Damaged, mismatched or malicious checkpoints.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

use super::desk::{Desk, given};

/// A command that needs both stages of `model`, and one that needs stage 1.
fn lines(model: &str) -> [String; 2] {
    [
        format!("sample --class 0 --out out --model {model}"),
        format!("encode samples/red-cat.png --model {model}"),
    ]
}

/// A folder with the configuration of one case and the weights of another.
fn mixed(desk: &Desk, folder: &str, config: &str, weights: &str) {
    desk.copy(&format!("fixtures/{config}/config.yaml"), &format!("{folder}/config.yaml"));
    desk.copy(&format!("fixtures/{weights}/model.pt"), &format!("{folder}/model.pt"));
}

#[test]
fn missing_files_are_named() {
    let desk = Desk::new();
    desk.write("empty/readme.txt", "");
    desk.copy("fixtures/rqvae-shared/model.pt", "alone/model.pt");
    desk.copy("fixtures/rqvae-shared/config.yaml", "bare/config.yaml");
    for (model, message) in [
        ("nowhere", "cannot read nowhere: No such file"),
        ("empty", "expected config.yaml and weights (.pt, .pth, .ckpt, .bin, .safetensors), found none"),
        ("alone", "expected config.yaml beside the weights, found none"),
        ("alone/model.pt", "expected config.yaml beside it, found none"),
        (
            "bare",
            "expected weights (.pt, .pth, .ckpt, .bin, .safetensors) beside the configuration, found none",
        ),
    ] {
        for line in lines(model) {
            desk.refuses(&line, 1, message);
        }
        desk.refuses(&format!("info {model}"), 1, message);
        desk.refuses(&format!("convert {model} out.safetensors"), 1, message);
    }
    desk.refuses(
        "sample --model fixtures/rqvae-shared",
        1,
        "expected an RQ-Transformer (stage 2), found none",
    );
}

#[test]
fn weights_of_another_model_are_rejected_and_missing_tensors_named() {
    let desk = Desk::new();
    mixed(&desk, "one", "rqvae-shared", "rqt-unconditional");
    mixed(&desk, "two", "rqt-unconditional", "rqvae-shared");
    mixed(&desk, "other", "rqvae-per-depth", "rqvae-shared");
    let rqvae = "--rqvae fixtures/rqvae-shared";
    for (line, message) in [
        ("encode samples/red-cat.png --model one".to_string(), "missing: encoder.conv_in.weight"),
        (format!("sample --model two {rqvae}"), "missing: input_mlp.weight"),
        ("encode samples/red-cat.png --model other".to_string(), "wrong shape: "),
        ("convert one out.safetensors".to_string(), "does not fit its configuration"),
        ("convert two out.safetensors".to_string(), "does not fit its configuration"),
    ] {
        desk.refuses(&line, 1, message);
    }
    for model in ["one", "two", "other"] {
        let run = desk.run(&format!("info {model}"));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains("does not fit its configuration") && run.stdout.contains("parameters"));
    }
}

#[test]
fn mismatched_stages_are_rejected() {
    let desk = Desk::new();
    for (model, rqvae) in [
        ("characters-128-ar", "rqvae-per-depth"),
        ("characters-128-ar", "rqvae-shared"),
        // Same code shape, but its own embeddings have a different codebook size.
        ("fixtures/rqt-token-embedding --class 0", "rqvae-per-depth"),
    ] {
        let line = format!("sample --model {model} --rqvae fixtures/{rqvae}");
        desk.refuses(&line, 1, "stage 1 and stage 2 do not belong together");
    }
    desk.refuses(
        "sample --model fixtures/rqt-class --class 0 --rqvae fixtures/rqt-class",
        1,
        "expected an RQ-VAE (stage 1), found none",
    );
}

#[test]
fn damaged_files_are_rejected() {
    let desk = Desk::new();
    desk.copy("fixtures/rqvae-shared/config.yaml", "config.yaml");
    desk.does("convert fixtures/rqvae-shared whole.safetensors");
    let whole = std::fs::read(desk.path("whole.safetensors")).unwrap();
    let published = std::fs::read(given("fixtures/rqvae-shared/model.pt")).unwrap();
    let with_end = |end: f32| [&whole[..whole.len() - 4], &end.to_le_bytes()].concat();
    let huge = br#"{"a":{"dtype":"F32","shape":[1099511627776,4],"data_offsets":[0,17592186044416]}}"#;
    let files: [(&str, Vec<u8>, &str); 11] = [
        ("cut.safetensors", whole[..whole.len() / 2].to_vec(), "not a complete safetensors file"),
        ("cut.pt", published[..published.len() / 2].to_vec(), ""),
        ("long.safetensors", [&whole[..], b"more"].concat(), "not a complete safetensors file"),
        ("nan.safetensors", with_end(f32::NAN), "with NaN or infinite values: "),
        ("infinite.safetensors", with_end(f32::INFINITY), "with NaN or infinite values: "),
        (
            "huge.safetensors",
            [&(huge.len() as u64).to_le_bytes(), &huge[..], &[0; 64]].concat(),
            "not a complete safetensors file",
        ),
        ("empty.pt", Vec::new(), ""),
        ("text.pt", b"weights".to_vec(), ""),
        ("pointer.pt", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "found a Git LFS pointer"),
        ("page.pt", b"\n<!DOCTYPE html>".to_vec(), "found a web page"),
        ("model.gguf", b"GGUF\x03\0\0\0".to_vec(), "found a GGUF file"),
    ];
    for (name, bytes, message) in files {
        desk.write(name, bytes);
        desk.refuses(&format!("encode samples/red-cat.png --model {name}"), 1, message);
    }
}

/// Weights are read at any place, and opening a pipe would wait for its other end.
#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_models() {
    let desk = Desk::new();
    for name in ["pipe", "pipe.pt", "pipe.tar.gz"] {
        assert!(std::process::Command::new("mkfifo").arg(desk.path(name)).status().unwrap().success());
    }
    for model in ["pipe", "pipe.pt", "pipe.tar.gz", "/dev/null"] {
        let message =
            format!("cannot read {model}: it is a pipe or a device: save its content to a file first");
        for line in lines(model) {
            desk.refuses(&line, 1, &message);
        }
        desk.refuses(&format!("info {model}"), 1, &message);
        desk.refuses(&format!("eval statistics --data . --inception {model} --out a.npz"), 1, &message);
    }
}

/// Every reader says what a stand-in is, not only those of weights.
#[test]
fn pointers_and_pages_are_named_whatever_they_stand_for() {
    let desk = Desk::new();
    desk.copy("fixtures/rqvae-shared/model.pt", "model/model.pt");
    for (bytes, message) in [
        (&b"version https://git-lfs.github.com/spec/v1\n"[..], "found a Git LFS pointer"),
        (b"<html><head>", "found a web page"),
        (b"GGUF\x03\0\0\0", "found a GGUF file"),
    ] {
        for name in ["a.tar.gz", "a.tgz", "a.tar", "a.safetensors", "model/config.yaml"] {
            desk.write(name, bytes);
            let model = name.strip_suffix("/config.yaml").unwrap_or(name);
            desk.refuses(&format!("info {model}"), 1, message);
        }
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("model/config.yaml", SimpleFileOptions::default()).unwrap();
    desk.write("model.zip", zip.finish().unwrap().into_inner());
    desk.refuses("info model.zip", 1, "if it is an archive of a model, unpack it first");
}

/// A `.pt` that contains this pickle.
fn pt(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/version", b"3\n")] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn pickled_code_is_never_run() {
    let desk = Desk::new();
    desk.copy("fixtures/rqvae-shared/config.yaml", "config.yaml");
    for (module, name, argument) in [
        ("posix", "system", "touch pwned"),
        ("os", "system", "touch pwned"),
        ("builtins", "exec", "open('pwned', 'w')"),
        ("subprocess", "check_output", "touch pwned"),
    ] {
        let pickle = format!("\u{80}c{module}\n{name}\n(S\"{argument}\"\ntR.");
        // 0x80 0x02 is the protocol header; encoded as a string, 0x80 would become two bytes.
        let pickle = [b"\x80\x02", &pickle.as_bytes()[2..]].concat();
        desk.write("model.pt", pt(&pickle));
        for line in [
            "info model.pt",
            "encode samples/red-cat.png --model model.pt",
            "convert model.pt out.safetensors",
        ] {
            desk.refuses(line, 1, &format!("{module}.{name}"));
        }
    }
}

/// A tar with a hand-written header, because the `tar` crate would refuse to write it.
fn tar_of(name: &str, kind: EntryType, target: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_cksum();
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    tar.append(&header, &[][..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn configurations_are_no_weights() {
    let desk = Desk::new();
    for name in ["m/config.yaml", "m/config.JSON"] {
        desk.copy("fixtures/rqvae-shared/config.yaml", name);
        let message =
            format!("{name}: expected weights, found a configuration: name the weights, or their folder");
        desk.refuses(&format!("info {name}"), 1, &message);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn models_of_another_name_than_text_are_refused() {
    use super::desk::Run;
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let name = std::ffi::OsStr::from_bytes(b"m\xff");
    let run = Run::of(desk.command("info").arg(name).output().unwrap());
    assert!(run.code == Some(2) && run.stderr.contains("rename a model's file or folder"), "{run:?}");
}

#[test]
fn archives_that_escape_their_folder_are_rejected() {
    let desk = Desk::new();
    let whole = tar_of("model/config.yaml", EntryType::Regular, "");
    let files: [(Vec<u8>, &str); 7] = [
        (
            tar_of("../config.yaml", EntryType::Regular, ""),
            "leads outside the folder: do not trust this archive",
        ),
        (tar_of("/tmp/model.pt", EntryType::Regular, ""), "leads outside the folder"),
        (tar_of("model/model.pt", EntryType::Symlink, "/etc/passwd"), "is a link"),
        (tar_of("model/model.pt", EntryType::Link, "../../x"), "is a link"),
        (tar_of("model/model.pt", EntryType::Fifo, ""), "is a device"),
        (whole[..whole.len() / 2].to_vec(), "not a complete .tar or .tar.gz"),
        (whole, "beside the configuration, found none"),
    ];
    for (bytes, message) in files {
        desk.write("model.tar.gz", bytes);
        for line in lines("model.tar.gz") {
            desk.refuses(&line, 1, message);
        }
        desk.refuses("convert model.tar.gz out", 1, message);
    }
}

/// It is unpacked into memory: first, there must be room.
#[cfg(target_os = "linux")]
#[test]
fn a_compressed_checkpoint_larger_than_memory_is_rejected() {
    let desk = Desk::new();
    desk.copy("fixtures/rqvae-shared/config.yaml", "config.yaml");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // Zeros, and what makes the file large enough for them.
    let rest = vec![7; 8 << 20];
    for (name, method, bytes) in [
        ("model/data/0", zip::CompressionMethod::Deflated, &vec![0; 200 << 20]),
        ("model/data/1", zip::CompressionMethod::Stored, &rest),
    ] {
        zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    desk.write("model.pt", zip.finish().unwrap().into_inner());
    let line = "info model.pt";
    let run = super::large_pictures::limited(&desk, 300_000, line);
    run.is_refusal(line, 1, "the compressed file needs 427 MB of memory, more than is free: ");
}
