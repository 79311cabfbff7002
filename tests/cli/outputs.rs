//! Where results go: existing files are never lost, links and pipes are kept, the extension determines the
//! format.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::desk::{Desk, Run, given, stacks};

/// The names of files in a folder on the desk.
fn names(desk: &Desk, folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(desk.path(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn samples_continue_from_the_highest_number() {
    let desk = Desk::new();
    let first = stacks(&desk.json("sample --model fixtures/rqt-class --class 2 -n 3 --seed 1"));
    let second = desk.json("sample --model fixtures/rqt-class --class 5 -n 2 --seed 2");
    assert_eq!(second["files"], serde_json::json!(["samples/003.png", "samples/004.png"]));
    let all = ["000.png", "001.png", "002.png", "003.png", "004.png", "sheet-2.png", "sheet.png"];
    assert_eq!(names(&desk, "samples"), all.map(String::from).into());
    for (number, stack) in first.iter().chain(&stacks(&second)).enumerate() {
        assert_eq!(&desk.codes(&format!("samples/{number:03}.png")), stack);
    }
    // Its recipe has its number within its seed.
    assert_eq!(desk.recipe("samples/004.png")["sampling"]["image"], 1);
    let replaced = desk.json("sample --model fixtures/rqt-class --class 5 -n 1 --seed 2 --force");
    assert_eq!(replaced["files"], serde_json::json!(["samples/000.png"]));
}

#[test]
fn two_runs_into_one_folder_keep_each_others_images() {
    let desk = Desk::new();
    let lines = [
        "sample --model fixtures/rqt-class --class 2 -n 9 --seed 1",
        "sample --model fixtures/rqt-class --class 5 -n 9 --seed 2",
    ];
    let run = |line: &str| {
        let mut command = desk.command(&format!("--json {line}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs = lines.map(run).map(|child| Run::of(child.wait_with_output().unwrap()));
    let mut seen = BTreeSet::new();
    for run in runs {
        assert_eq!(run.code, Some(0), "{run:?}");
        let result = run.json();
        for (file, stack) in files(&result).iter().zip(stacks(&result)) {
            assert_eq!(desk.codes(file), stack, "{file}");
            assert!(seen.insert(file.clone()), "{file}");
        }
    }
    assert_eq!(seen.len(), 18);
    assert_eq!(names(&desk, "samples").len(), 20);
}

fn files(result: &serde_json::Value) -> Vec<String> {
    serde_json::from_value(result["files"].clone()).unwrap()
}

#[test]
fn default_names_are_counted_up() {
    let desk = Desk::new();
    desk.copy("samples/red-cat.png", "a/cat.png");
    desk.copy("samples/green-cat.png", "b/cat.png");
    let [a, b] = ["a", "b"].map(|folder| desk.json(&format!("encode {folder}/cat.png")));
    assert_eq!((a["file"].as_str(), b["file"].as_str()), (Some("cat.npy"), Some("cat-2.npy")));
    for line in [
        "reconstruct a/cat.png",
        "reconstruct b/cat.png",
        "decode cat.npy",
        "decode cat-2.npy",
        "decode cat.npy",
    ] {
        desk.does(line);
    }
    let expected = [
        "a",
        "b",
        "cat-2-decoded.png",
        "cat-2.npy",
        "cat-decoded-2.png",
        "cat-decoded.png",
        "cat-reconstruction-2.png",
        "cat-reconstruction.png",
        "cat-strip-2.png",
        "cat-strip.png",
        "cat.npy",
    ];
    assert_eq!(names(&desk, "."), expected.map(String::from).into());
}

#[test]
fn a_given_name_must_be_unused_and_have_the_right_extension() {
    let desk = Desk::new();
    for name in ["a.npy", "a.png", "a.safetensors"] {
        desk.write(name, "mine");
    }
    desk.does("encode samples/red-cat.png");
    for line in [
        "encode samples/red-cat.png --out a.npy",
        "decode red-cat.npy --out a.png",
        "convert fixtures/rqvae-shared a.safetensors",
        "studio --screenshot a.png",
    ] {
        desk.refuses(line, 2, "already exists: choose another name, or use --force to replace it");
    }
    for (line, ending) in [
        ("encode samples/red-cat.png --out x.npz", ".npy"),
        ("encode samples/red-cat.png --out codes", ".npy"),
        ("decode red-cat.npy --out x.jpg", ".png"),
        ("convert fixtures/rqvae-shared x.pt", ".safetensors"),
        ("eval statistics --data . --inception w.pth --out x.npy", ".npz"),
        ("studio --screenshot x.jpg", ".png"),
    ] {
        desk.refuses(line, 2, &format!("expected a name that ends in {ending}"));
    }
    desk.does("decode red-cat.npy --out a.png --force");
    assert_eq!(desk.pixels("a.png").dimensions(), (128, 128));
}

#[test]
fn missing_folders_are_created() {
    let desk = Desk::new();
    for line in [
        "encode samples/red-cat.png --out new/codes/a.npy",
        "decode new/codes/a.npy --out new/pictures/a.png",
        "convert fixtures/rqvae-shared new/models/a.safetensors",
        "reconstruct samples/red-cat.png --out new/reconstructions",
        "sample --model fixtures/rqt-class --class 0 --out new/samples/first",
    ] {
        desk.does(line);
    }
    for file in ["new/codes/a.npy", "new/pictures/a.png", "new/models/a.safetensors"] {
        assert!(desk.path(file).is_file(), "{file}");
    }
}

#[test]
fn an_output_may_replace_its_input() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 0 --out made");
    let before = desk.pixels("made/000.png");
    desk.does("decode made/000.png --out made/000.png --force");
    assert_eq!(desk.pixels("made/000.png"), before);
    desk.does("convert fixtures/rqvae-shared a.safetensors");
    let before = std::fs::read(desk.path("a.safetensors")).unwrap();
    desk.does("convert a.safetensors a.safetensors --force");
    assert_eq!(std::fs::read(desk.path("a.safetensors")).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_written_through() {
    use std::os::unix::fs::symlink;
    let desk = Desk::new();
    desk.does("encode samples/red-cat.png --out expected.npy");
    let expected = std::fs::read(desk.path("expected.npy")).unwrap();
    desk.write("store/real.npy", "keep");
    symlink("store/real.npy", desk.path("out.npy")).unwrap();
    desk.refuses("encode samples/red-cat.png --out out.npy", 2, "out.npy already exists");
    assert_eq!(std::fs::read(desk.path("store/real.npy")).unwrap(), b"keep");
    desk.does("encode samples/red-cat.png --out out.npy --force");
    assert_eq!(std::fs::read(desk.path("store/real.npy")).unwrap(), expected);
    assert!(desk.path("out.npy").is_symlink());

    let pipe = desk.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn(move || std::fs::read(pipe).unwrap());
    desk.does("encode samples/red-cat.png --out pipe");
    assert_eq!(reader.join().unwrap(), expected);
    desk.does("encode samples/red-cat.png --out /dev/null");
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let desk = Desk::new();
    let piped = |line: &str, input: Vec<u8>| {
        use std::io::Write;
        let mut command = desk.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        output.stdout
    };
    desk.does("encode samples/red-cat.png");
    desk.does("decode red-cat.npy --out red-cat.png");
    let picture = std::fs::read(given("samples/red-cat.png")).unwrap();
    let codes = piped("encode - --out -", picture.clone());
    assert_eq!(codes, std::fs::read(desk.path("red-cat.npy")).unwrap());
    assert_eq!(piped("decode - --out -", codes), std::fs::read(desk.path("red-cat.png")).unwrap());
    piped("reconstruct - --out read", picture);
    assert_eq!(
        names(&desk, "read"),
        ["picture-reconstruction.png", "picture-strip.png"].map(String::from).into()
    );
    assert!(!desk.path("-").exists());
    let converted = piped("convert fixtures/rqvae-shared -", Vec::new());
    desk.does("convert fixtures/rqvae-shared file.safetensors");
    assert_eq!(converted, std::fs::read(desk.path("file.safetensors")).unwrap());
    desk.refuses("--json encode samples/red-cat.png --out -", 2, "--json prints on standard output");
    desk.refuses(
        "sample --model fixtures/rqt-class --class 0 --out -",
        2,
        "expected a folder for several files, found standard output",
    );
    for line in ["sample --bulk --out -", "eval samples --data . --inception w.pth --out -"] {
        desk.refuses(line, 2, "expected a folder for several files, found standard output");
    }
    for (line, ending) in [
        ("sample --model fixtures/rqt-class --class 0 --out cat.png", "png"),
        ("sample --model fixtures/rqt-class --bulk --out all.NPY", "npy"),
        ("complete samples/red-cat.png --model fixtures/rqt-class --rows 1 --class 0 --out cat.jpg", "jpg"),
        ("reconstruct samples/red-cat.png --out cat.png", "png"),
    ] {
        let message =
            format!("expected a folder for several files, found the name of a file: leave .{ending} out");
        desk.refuses(line, 2, &message);
    }
    std::fs::create_dir(desk.path("folder.png")).unwrap();
    desk.does("sample --model fixtures/rqt-class --class 0 --out folder.png");
    assert!(!desk.path("-").exists());
    desk.refuses("info -", 2, "expected a model's file or folder, found -, standard input");
    let line = "eval statistics --data . --inception - --out a.npz";
    desk.refuses(line, 2, "weights are not read from a stream");
}

/// If redirected to a file, standard output contains only the codes, whatever the file's extension.
#[cfg(target_os = "linux")]
#[test]
fn standard_output_may_be_a_file() {
    let desk = Desk::new();
    desk.does("encode samples/red-cat.png --out expected.npy");
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let file = std::fs::File::create(desk.path("codes.npy")).unwrap();
        let mut command = desk.command(&format!("encode samples/red-cat.png --out {name}"));
        assert!(command.stdout(file).status().unwrap().success(), "{name}");
        let [found, expected] =
            ["codes.npy", "expected.npy"].map(|name| std::fs::read(desk.path(name)).unwrap());
        assert_eq!(found, expected, "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_work() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let name = |ending: &str| OsStr::from_bytes(&[b"caf\xe9", ending.as_bytes()].concat()).to_owned();
    std::fs::copy(given("samples/red-cat.png"), desk.path("x").with_file_name(name(".png"))).unwrap();
    for (line, arguments) in [
        ("--json encode", vec![name(".png"), "--out".into(), name(".npy")]),
        ("--json decode", vec![name(".npy"), "--out".into(), name("-decoded.png")]),
        ("--json reconstruct", vec![name(".png"), "--out".into(), name("")]),
        ("--json sample --model characters-128-ar", vec!["--out".into(), name("-samples")]),
        ("--json sample", vec!["--from".into(), name("-samples/000.png"), "--out".into(), name("-again")]),
        (
            "--json complete --model fixtures/rqt-class --rows 1 --class 0",
            vec![name(".png"), "--out".into(), name("-completed")],
        ),
        (
            "--json complete --model fixtures/rqt-class --class 0",
            vec![name(".png"), "--mask".into(), name(".png")],
        ),
        ("--json explain --model fixtures/rqt-class --row 0 --col 0 --class 0", vec![name(".png")]),
        ("--json morph", vec![name(".png"), name(".png"), "--out".into(), name("-morph.png")]),
        ("--json convert fixtures/rqvae-shared", vec![name(".safetensors")]),
        ("--json eval reconstruction --data .", vec![]),
    ] {
        let run = Run::of(desk.command(line).args(&arguments).output().unwrap());
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap();
    }
    let run = Run::of(desk.command("info").arg(name(".safetensors")).output().unwrap());
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}

/// Names with line breaks and codes for the terminal, as an archive from elsewhere may have.
#[cfg(target_os = "linux")]
#[test]
fn names_do_not_break_lines_or_reach_the_terminal() {
    let desk = Desk::new();
    desk.copy("samples/red-cat.png", "a\n\u{1b}[31m.png");
    let run = Run::of(desk.command("encode").arg("a\n\u{1b}[31m.png").output().unwrap());
    assert!(run.code == Some(0) && run.stderr.contains("wrote a  [31m.npy\n"), "{run:?}");
    desk.copy("samples/red-cat.png", "data/b.png");
    desk.write("data/c\nd.png", "no picture");
    let run = desk.does("eval reconstruction --data data");
    run.warns("left out: data/c d.png: expected a picture");
}

#[test]
fn codes_of_an_edited_image_are_ignored() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 4 --seed 3 --out made");
    // As an editor would that keeps unknown chunks.
    let bytes = std::fs::read(desk.path("made/000.png")).unwrap();
    let chunks = text_chunks(&bytes);
    let mut edited = desk.pixels("made/000.png");
    edited.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| 255 - value));
    let mut plain = std::io::Cursor::new(Vec::new());
    edited.write_to(&mut plain, image::ImageFormat::Png).unwrap();
    let plain = plain.into_inner();
    // In the folder of the original, since a recipe names models relative to its picture.
    desk.write("made/edited.png", [&plain[..33], &chunks, &plain[33..]].concat());
    desk.write("plain.png", &plain);
    assert_eq!(desk.codes("made/edited.png"), desk.codes("made/000.png"));

    let complete = |input: &str| {
        stacks(&desk.json(&format!("complete --model fixtures/rqt-class {input} --rows 8 --class 4")))
    };
    assert_ne!(complete("made/edited.png"), complete("made/000.png"));
    assert_eq!(complete("made/edited.png"), complete("plain.png"));
    for line in [
        "complete made/edited.png --rows 8",
        "explain made/edited.png --row 0 --col 0",
        "decode made/edited.png",
    ] {
        desk.does(line).warns("edited.png was changed after its codes were written");
    }
    assert!(!desk.does("decode made/000.png").stderr.contains("WARN"));

    // Images from older versions have no checksum: they are compared with their decoded codes.
    let older = |bytes: &[u8]| without_chunk(bytes, b"residua:pixels");
    desk.write("made/older.png", older(&bytes));
    desk.write("made/older-edited.png", older(&std::fs::read(desk.path("made/edited.png")).unwrap()));
    for line in ["complete made/older-edited.png --rows 8", "decode made/older-edited.png"] {
        desk.does(line).warns("older-edited.png was changed after its codes were written");
    }
    assert_eq!(complete("made/older-edited.png"), complete("plain.png"));
    assert_eq!(complete("made/older.png"), complete("made/000.png"));
    assert!(!desk.does("decode made/older.png").stderr.contains("WARN"));
}

/// The PNG without the text chunk `name`.
fn without_chunk(bytes: &[u8], name: &[u8]) -> Vec<u8> {
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() - 8;
    let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    [&bytes[..at], &bytes[at + 12 + length..]].concat()
}

/// The raw text chunks of a PNG.
fn text_chunks(bytes: &[u8]) -> Vec<u8> {
    let (mut at, mut found) = (8, Vec::new());
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let end = at + 12 + length;
        if &bytes[at + 4..at + 8] == b"iTXt" {
            found.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
    found
}
