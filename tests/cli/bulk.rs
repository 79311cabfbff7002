//! `sample --bulk`: images for every class or caption, in a folder that a second call continues.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residua_core::codes::npy;
use residua_io::image_io::png_text::Provenance;
use residua_protocol::Recipe;
use serde_json::json;

use super::desk::{Desk, Run};

const SAMPLE: &str = "sample --bulk --model fixtures/rqt-class --out all --seed 4 -n 2";

fn contents(desk: &Desk) -> BTreeMap<PathBuf, Vec<u8>> {
    desk.files().into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn every_class_is_sampled_and_a_second_call_fills_gaps() {
    let desk = Desk::new();
    let made = desk.json(SAMPLE);
    let classes = made["made"].as_u64().unwrap() as usize / 2;
    assert!(classes > 1, "{made}");
    assert_eq!(made, json!({"folder": "all", "made": 2 * classes, "found": 0}));
    let whole = contents(&desk);
    let stacks = npy::load(&desk.path("all/codes.npy")).unwrap();
    assert_eq!(stacks.len(), 2 * classes);
    for (number, stack) in stacks.iter().enumerate() {
        assert_eq!(desk.codes(&format!("all/{number:06}.png")), *stack);
    }
    // A separate call reproduces one of the images.
    let last = format!("all/{:06}.png", 2 * classes - 1);
    desk.does(&format!("sample --from {last} --out again"));
    assert_eq!(desk.pixels(&format!("again/{:03}.png", 2 * classes - 1)), desk.pixels(&last));
    std::fs::remove_dir_all(desk.path("again")).unwrap();

    for lost in ["000000.png", "000003.png", "000004.png", "codes.npy"] {
        std::fs::remove_file(desk.path("all").join(lost)).unwrap();
    }
    assert_eq!(desk.json(SAMPLE)["made"], 3);
    assert_eq!(contents(&desk), whole);
    // Damaged pictures are made again, too; a person's own picture is kept.
    let bytes = std::fs::read(desk.path("all/000002.png")).unwrap();
    desk.write("all/000002.png", &bytes[..bytes.len() / 2]);
    desk.write("all/000005.png", "");
    let run = desk.does(SAMPLE);
    for name in ["000002.png: ", "000005.png: "] {
        run.warns(name);
    }
    assert_eq!(contents(&desk), whole);
    desk.copy("samples/red-cat.png", "all/000001.png");
    desk.refuses(SAMPLE, 1, "000001.png: expected a picture with its codes, found no codes: delete it");
    for other in
        ["--seed 5 -n 2", "--seed 4 -n 3", "--seed 4 -n 2 --top-k 9", "--seed 4 -n 2 --precision f16"]
    {
        desk.refuses(
            &format!("sample --bulk --model fixtures/rqt-class --out all {other}"),
            2,
            "expected samples of this model",
        );
    }
    std::fs::remove_file(desk.path("all/samples.json")).unwrap();
    desk.refuses(SAMPLE, 2, "found other numbered pictures");
    desk.write("mine/codes.npy", b"a person's own");
    desk.refuses("sample --bulk --model fixtures/rqt-class --out mine", 2, "numbered pictures or lists");
}

#[test]
fn every_caption_of_a_file_is_sampled_and_listed() {
    let desk = Desk::new();
    desk.write("captions.txt", "\u{feff}a red cat\r\n\r\na blue dog\n");
    desk.does("sample --bulk --captions captions.txt --model characters-128-ar -n 1 --out all");
    let listed = std::fs::read_to_string(desk.path("all/captions.tsv")).unwrap();
    assert_eq!(listed, "000000.png\ta red cat\n000001.png\ta blue dog\n");
    let bytes = std::fs::read(desk.path("all/000001.png")).unwrap();
    let recipe = Recipe::from_json(&Provenance::read(&bytes).unwrap().recipe.unwrap()).unwrap();
    assert_eq!(json!(recipe.sampling.unwrap().condition), json!({"prompt": "a blue dog"}));

    desk.write("none.txt", "\n");
    for (options, code, message) in [
        ("--captions none.txt", 1, "expected captions, one per line, found none"),
        ("--captions missing.txt", 1, "missing.txt"),
        ("", 2, "this model needs captions"),
        ("--captions captions.txt -n 0", 2, "expected 1 to"),
    ] {
        desk.refuses(&format!("sample --bulk --model characters-128-ar {options} --out none"), code, message);
    }
    for line in ["sample --bulk --captions captions.txt --prompt cat", "sample --captions captions.txt"] {
        let run = desk.run(line);
        assert!(run.code == Some(2) && run.stderr.contains("--bulk"), "{run:?}");
    }
}

#[test]
fn captions_may_be_piped_and_in_utf_16() {
    let desk = Desk::new();
    let units = "a red cat\r\nein Käse\r\n".encode_utf16().flat_map(u16::to_le_bytes);
    desk.write("wide.txt", [0xff, 0xfe].into_iter().chain(units).collect::<Vec<u8>>());
    for (captions, out) in [("wide.txt", "named"), ("-", "piped")] {
        let line = format!("sample --bulk --captions {captions} --model characters-128-ar -n 1 --out {out}");
        let mut command = desk.command(&line);
        command.stdin(std::fs::File::open(desk.path("wide.txt")).unwrap());
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
        let listed = std::fs::read_to_string(desk.path(out).join("captions.tsv")).unwrap();
        assert_eq!(listed, "000000.png\ta red cat\n000001.png\tein Käse\n");
    }
}
