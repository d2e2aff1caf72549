//! What `trcctl check` and `trcctl lint` say about configurations and images that are broken, and that
//! they say nothing about those that are right.
//!
//! `tests/broken/NAME.tree` has the files of an image or of a project, and the command that looks at
//! them; `tests/broken/NAME.says` has the exit status and the messages. `tests/right/NAME.tree` are those
//! that are right. `TRC_TEST_UPDATE=1` writes the messages anew; read them before you commit.
//!
//! The first line of a tree is `$ trcctl …`. Then each file begins with `--- PATH`, and these words may
//! follow: `mode=600`; `-> TARGET` for a link; `elf` for a program, with `loader=`, `needs=a,b`, `rpath=`,
//! `runpath=`, `soname=` and `machine=`. A path that ends with `/` is a directory. Scripts with a `#!` and
//! programs are executable.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::readme::{blocks, page, pages};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file that is not yet written: its path, its words and its lines.
type Part<'a> = (&'a str, Vec<&'a str>, String);

/// Creates the files of a tree, and returns the command.
fn plant(tree: &str, at: &Path) -> Vec<String> {
    let mut lines = tree.lines();
    let command = lines.next().and_then(|line| line.strip_prefix("$ trcctl ")).expect("a command");
    let mut parts: Vec<Part<'_>> = Vec::new();
    for line in lines {
        if let Some(rest) = line.strip_prefix("--- ") {
            let mut words = rest.split(' ');
            let path = words.next().unwrap();
            parts.push((path, words.collect(), String::new()));
        } else if let Some((_, _, text)) = parts.last_mut() {
            text.push_str(&line.replace("\\r", "\r"));
            text.push('\n');
        }
    }
    for (path, words, text) in parts {
        write(&at.join(path), &words, &text, path.ends_with('/'));
    }
    shell_words::split(command).unwrap()
}

fn write(path: &Path, words: &[&str], text: &str, is_dir: bool) {
    fs::create_dir_all(if is_dir { path } else { path.parent().unwrap() }).unwrap();
    if is_dir {
        return;
    }
    if let ["->", target] = words {
        return symlink(target, path).unwrap();
    }
    let is_elf = words.first() == Some(&"elf");
    let bytes = if is_elf { elf(words) } else { text.as_bytes().to_vec() };
    let mode = value(words, "mode").map(|mode| u32::from_str_radix(mode, 8).unwrap());
    let usual = if is_elf || text.starts_with("#!") { 0o755 } else { 0o644 };
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode.unwrap_or(usual))).unwrap();
}

fn value<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// Returns a program or a library of 64 bits, which has nothing but what the loader reads: elf(5).
fn elf(words: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut add = |text: &str| {
        let at = strings.len() as u64;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let needs = value(words, "needs").map(|all| all.split(',').collect::<Vec<_>>());
    let mut entries: Vec<(u64, u64)> =
        needs.into_iter().flatten().map(|name| (1, add(name))).collect();
    for (tag, name) in [(14, "soname"), (15, "rpath"), (29, "runpath")] {
        entries.extend(value(words, name).map(|text| (tag, add(text))));
    }
    let interp: Vec<u8> =
        value(words, "loader").iter().flat_map(|it| it.bytes().chain([0])).collect();
    let count = if interp.is_empty() { 2 } else { 3 };
    let interp_at = 64 + 56 * count;
    let strings_at = interp_at + interp.len() as u64;
    let dynamic_at = (strings_at + strings.len() as u64).next_multiple_of(8);
    entries.extend([(5, strings_at), (10, strings.len() as u64), (0, 0)]);
    let dynamic: Vec<u8> = entries
        .iter()
        .flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat())
        .collect();
    let end = dynamic_at + dynamic.len() as u64;

    let machine: u16 = value(words, "machine").map_or(62, |number| number.parse().unwrap());
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([3_u16, machine].iter().flat_map(|it| it.to_le_bytes()));
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0_u64, 64, 0].iter().flat_map(|it| it.to_le_bytes()));
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(
        [64_u16, 56, u16::try_from(count).unwrap(), 64, 0, 0]
            .iter()
            .flat_map(|it| it.to_le_bytes()),
    );
    let mut header = |kind: u32, at: u64, size: u64| {
        bytes.extend([kind, 4].iter().flat_map(|it| it.to_le_bytes()));
        bytes.extend([at, at, at, size, size, 8].iter().flat_map(|it| it.to_le_bytes()));
    };
    header(1, 0, end);
    if !interp.is_empty() {
        header(3, interp_at, interp.len() as u64);
    }
    header(2, dynamic_at, dynamic.len() as u64);
    bytes.extend(interp);
    bytes.extend(strings);
    bytes.resize(usize::try_from(dynamic_at).unwrap(), 0);
    bytes.extend(dynamic);
    bytes
}

/// Runs `trcctl` in a directory. Returns its exit status and everything that it said.
fn run(arguments: &[String], at: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(arguments)
        .current_dir(at)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        // A page asks for it with `${PGHOST:?…}`.
        .env("PGHOST", "db")
        .output()
        .unwrap();
    let here = at.display().to_string();
    let short = |text: String| text.replace(&format!("{here}/"), "").replace(&here, ".");
    let text = |bytes| short(String::from_utf8(bytes).unwrap());
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

fn trees(folder: &str) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(Path::new(ROOT).join("tests").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "tree"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    found.sort();
    found
}

#[test]
fn each_broken_configuration_is_told_what_is_wrong_where_and_what_to_do() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, path) in trees("broken") {
        let dir = TempDir::new().unwrap();
        let command = plant(&fs::read_to_string(&path).unwrap(), dir.path());
        let (status, says) = run(&command, dir.path());
        let says = format!("exit status {}\n{says}", status.unwrap());
        let expected = path.with_extension("says");
        if std::env::var_os("TRC_TEST_UPDATE").is_some() {
            fs::write(&expected, &says).unwrap();
        }
        let expected = fs::read_to_string(expected).unwrap_or_default();
        if says != expected {
            wrong.push(format!("{name}:\n{says}\nexpected:\n{expected}"));
        }
        let place = says.contains("--> ") || says.contains("error: there is no configuration");
        if !place && !says.contains("\"line\": ") && !says.contains("line=") {
            wrong.push(format!("{name} has no place:\n{says}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 60, "only {count}");
}

#[test]
fn nothing_is_said_about_an_image_that_is_right() {
    let mut wrong = Vec::new();
    for (name, path) in trees("right") {
        let dir = TempDir::new().unwrap();
        let command = plant(&fs::read_to_string(&path).unwrap(), dir.path());
        assert!(command.contains(&"--strict".to_owned()), "{name}");
        let (status, says) = run(&command, dir.path());
        if status != Some(0) || !says.starts_with("ok: ") {
            wrong.push(format!("{name}: {status:?}\n{says}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What people copy is right: the examples, and the drop-ins that ship with trc.
#[test]
fn nothing_is_said_about_the_examples() {
    let (mut count, mut wrong) = (0, Vec::new());
    let mut check = |name: &str, arguments: &[&str]| {
        let arguments: Vec<String> =
            ["check", "--strict"].iter().chain(arguments).map(|&it| it.to_owned()).collect();
        let (status, says) = run(&arguments, Path::new(ROOT));
        count += 1;
        if status != Some(0) {
            wrong.push(format!("{name}: {status:?}\n{says}"));
        }
    };
    for (dir, dockerfile) in [
        ("examples/quickstart", None),
        ("examples/web-stack", Some("examples/web-stack/Dockerfile")),
        ("examples/opensmtpd", Some("Dockerfile.example")),
    ] {
        let more = dockerfile.map(|file| ["--dockerfile", file]);
        check(dir, &[&["-w", dir][..], more.as_ref().map_or(&[], |more| &more[..])].concat());
    }
    let dir = TempDir::new().unwrap();
    let project = dir.path().join("conf.d");
    fs::create_dir(&project).unwrap();
    for entry in fs::read_dir(Path::new(ROOT).join("conf.d")).unwrap() {
        let path = entry.unwrap().path();
        let to = project.join("trc.d").join(path.file_name().unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&path, to).unwrap();
    }
    check("conf.d", &["-w", project.to_str().unwrap()]);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    // `readme::toml_loads` checks the blocks of the pages.
    assert_eq!(count, 4);
}

/// The Dockerfiles and manifests of a page fit to its first configuration.
#[test]
fn nothing_is_said_about_the_images_of_the_pages() {
    let (mut count, mut wrong) = (0, Vec::new());
    for name in pages() {
        let text = page(&name);
        let configurations = blocks(&text, "toml");
        let whole = |block: &&String| block.contains("[async.") || block.contains("[sync.");
        let main = configurations.iter().find(|block| block.starts_with("# trc.toml\n"));
        let Some(main) = main.or_else(|| configurations.iter().find(whole)) else { continue };
        let images = blocks(&text, "dockerfile").into_iter().filter(|it| it.contains("FROM "));
        let images = images.map(|it| ("check -w . --strict --dockerfile", it));
        let is_object =
            |it: &String| it.lines().any(|line| line.starts_with("kind:") || line == "services:");
        let objects = blocks(&text, "yaml").into_iter().filter(is_object);
        let objects = objects.map(|it| ("lint -w . --strict", it));
        for (command, block) in images.chain(objects) {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join("trc.toml"), main).unwrap();
            fs::write(dir.path().join("file"), block).unwrap();
            let arguments: Vec<String> =
                command.split(' ').chain(["file"]).map(str::to_owned).collect();
            let (status, says) = run(&arguments, dir.path());
            count += 1;
            if status != Some(0) {
                wrong.push(format!("{name}: {status:?}\n{says}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 10, "only {count}");
}
