//! Results that cannot be written give a one-line error and leave no partial files.

use super::desk::{Desk, Run};

#[test]
fn folders_that_cannot_be_created_are_named() {
    let desk = Desk::new();
    desk.write("file.txt", "in the way");
    desk.does("encode samples/red-cat.png --model fixtures/rqt-class");
    for (line, message) in [
        ("encode samples/red-cat.png --out file.txt/a.npy", "cannot create file.txt/a.npy"),
        ("decode red-cat.npy --out file.txt/a.png", "cannot create file.txt/a.png"),
        ("convert fixtures/rqvae-shared file.txt/a.safetensors", "cannot create file.txt/a.safetensors"),
        ("sample --model fixtures/rqt-class --class 0 --out file.txt", "cannot create file.txt"),
        ("sample --model fixtures/rqt-class --class 0 --out file.txt/below", "cannot create file.txt/below"),
        ("reconstruct samples/red-cat.png --out file.txt", "cannot create file.txt"),
        (
            "complete --model fixtures/rqt-class red-cat.npy --rows 1 --class 0 --out file.txt",
            "cannot create file.txt",
        ),
    ] {
        desk.refuses(line, 1, message);
    }
}

/// Devices and folders must not be replaced by a file.
#[test]
fn only_regular_files_are_overwritten() {
    let desk = Desk::new();
    desk.write("folder/inside.txt", "");
    desk.refuses(
        "encode samples/red-cat.png --out folder",
        2,
        "folder: expected a file to write, found a folder",
    );
    desk.refuses("convert fixtures/rqvae-shared folder --force", 2, "folder: expected a file to write");
    desk.write("old.npy", "old");
    desk.does("encode samples/red-cat.png --out old.npy --force");
    assert_ne!(std::fs::read(desk.path("old.npy")).unwrap(), b"old");
}

/// Before the work whose result would be lost: here, before the missing weights are found missing.
#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let desk = Desk::new();
    desk.write("file.txt", "in the way");
    let too_long = "n".repeat(300);
    for name in ["file.txt/a", "file.txt/more/a", too_long.as_str()] {
        for (line, ending) in [
            ("encode none.png --out", "npy"),
            ("decode none.npy --out", "png"),
            ("convert fixtures/rqvae-shared", "safetensors"),
            ("eval statistics --data none --inception none.pth --out", "npz"),
            ("eval reconstruction --data none --part 0/2 --sums", "sums"),
        ] {
            let file = format!("{name}.{ending}");
            desk.refuses(&format!("{line} {file}"), 1, &format!("cannot create {file}: "));
        }
    }
    let line = format!("sample --model fixtures/rqt-class --class 0 --out {too_long}");
    desk.refuses(&line, 1, "cannot create n");
}

/// Nobody can write to them, not even root.
#[cfg(target_os = "linux")]
#[test]
fn devices_that_take_no_data_are_named() {
    let desk = Desk::new();
    desk.does("encode samples/red-cat.png");
    for line in
        ["encode samples/red-cat.png --out", "decode red-cat.npy --out", "convert fixtures/rqvae-shared"]
    {
        desk.refuses(&format!("{line} /dev/full"), 1, "cannot write /dev/full: No space left");
        desk.refuses(&format!("{line} /proc/version"), 1, "cannot write /proc/version: ");
    }
}

/// Without one, settings and verdicts on GPU kernels are not kept, which is no reason to stop.
#[cfg(unix)]
#[test]
fn no_home_is_needed() {
    let desk = Desk::new();
    for home in [None, Some("/dev/null")] {
        for line in ["sample", "info"] {
            let mut command = desk.command(line);
            for name in ["HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
                command.env_remove(name);
            }
            command.envs(home.map(|home| ("HOME", home)));
            let run = Run::of(command.output().unwrap());
            assert_eq!(run.code, Some(0), "{home:?}: {run:?}");
            assert!(!run.stderr.contains("WARN"), "{home:?}: {run:?}");
        }
    }
}

/// As on a full disk, writes fail after the first kilobyte, or two.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_partial_file() {
    let desk = Desk::new();
    desk.does("reconstruct samples/red-cat.png --out made");
    let before = desk.files();
    for line in [
        "sample --model fixtures/rqt-class --class 0 --out out",
        "reconstruct samples/blue-beard.png --out out",
        "decode made/red-cat-reconstruction.png --out out.png",
        "convert fixtures/rqvae-shared out.safetensors",
        // An existing file stays unchanged.
        "decode made/red-cat-reconstruction.png --out made/red-cat-strip.png --force",
    ] {
        let program = desk.command(line);
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "ulimit -f 1; exec \"$@\"", "sh"]);
        limited.arg(program.get_program()).args(program.get_args());
        limited.current_dir(program.get_current_dir().unwrap());
        let strip = std::fs::read(desk.path("made/red-cat-strip.png")).unwrap();
        Run::of(limited.output().unwrap()).is_refusal(line, 1, "File too large");
        assert_eq!(desk.files(), before, "{line}");
        assert_eq!(std::fs::read(desk.path("made/red-cat-strip.png")).unwrap(), strip, "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn failing_to_print_the_result_is_an_error() {
    let desk = Desk::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for line in ["info", "--json info", "sample --model fixtures/rqt-class --class 0", "bench --list"] {
        let run = Run::of(desk.command(line).stdout(full()).output().unwrap());
        assert_eq!(run.code, Some(1), "{line}: {run:?}");
        assert!(run.stderr.contains("residua: cannot write the result: No space left"), "{line}: {run:?}");
    }
    // The error cannot be reported here, but the work is done.
    let mut sample = desk.command("sample --model fixtures/rqt-class --class 0");
    let run = Run::of(sample.stderr(full()).output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
}

/// As in `residua info | head -1`.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let desk = Desk::new();
    for line in ["info --tensors", "--json info", "devices"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = Run::of(desk.command(line).stdout(writer).output().unwrap());
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
        assert!(!run.stderr.contains("panicked"), "{line}: {run:?}");
    }
}
