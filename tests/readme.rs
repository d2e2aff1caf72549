//! The code blocks of `README.md` and the other pages are correct: TOML loads, and commands run as
//! they are written. `containers.rs` runs those that need docker.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{has, root};
use regex::Regex;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the pages whose blocks are tested: the README, and everything in `docs/` and
/// `examples/`.
pub(crate) fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned(), "examples".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(name);
            } else if Path::new(&name).extension() == Some("md".as_ref()) {
                pages.push(name);
            }
        }
    }
    pages.sort();
    pages
}

pub(crate) fn page(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Returns the blocks of a page in this language.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if kind == language {
                found.push(block.join("\n"));
            }
        }
    }
    found
}

#[test]
fn toml_loads() {
    let mut count = 0;
    for name in pages() {
        let blocks = blocks(&page(&name), "toml");
        let main = blocks.iter().find(|block| block.starts_with("# trc.toml\n"));
        for block in &blocks {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join("trc.toml"), block).unwrap();
            // A drop-in is nothing without the file that it adds to.
            let file = block.lines().next().and_then(|line| line.strip_prefix("# "));
            if let (Some(file), Some(main)) = (file, main)
                && file.strip_suffix(".toml").is_some_and(|file| file != "trc")
                && !file.contains('/')
            {
                fs::write(dir.path().join("trc.toml"), main).unwrap();
                fs::create_dir(dir.path().join("trc.d")).unwrap();
                fs::write(dir.path().join("trc.d").join(file), block).unwrap();
            }
            let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
                .args(["check", "-w"])
                .arg(dir.path())
                .env_clear()
                // A page asks for it with `${PGHOST:?…}`.
                .env("PGHOST", "db")
                .output()
                .unwrap();
            let says = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && says.is_empty(), "{name}:\n{block}\n{says}");
            count += 1;
        }
    }
    assert!(count > 0, "no block was found");
}

#[test]
fn commands_run() {
    let mut count = 0;
    // A test below runs those of the tutorial.
    for name in pages().into_iter().filter(|name| name != "docs/tutorial.md") {
        for block in blocks(&page(&name), "sh") {
            // containers.rs and web_stack.rs run the commands that need docker. `cargo test` is
            // this test itself, and only a test can give a verdict.
            let skipped = ["docker ", "podman ", "trcctl verdict"];
            if skipped.iter().any(|word| block.contains(word)) || block == "cargo test" {
                continue;
            }
            let output = Command::new("bash")
                .args(["-e", "-c", &block])
                .current_dir(ROOT)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{name}: {}\n{block}\n{}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            count += 1;
        }
    }
    assert!(count > 0, "no block was found");
}

/// The commands run one after another, in a directory of their own, and as root in a network of
/// their own.
#[test]
fn the_tutorials_commands_run_and_end_with_passed_tests() {
    let dir = TempDir::new().unwrap();
    let here = dir.path().to_str().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_trc")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let own_network = root() && has("ip");
    let mut said = Vec::new();
    for block in blocks(&page("docs/tutorial.md"), "sh") {
        if block.contains("docker ") || block.contains("cargo build") {
            continue;
        }
        let script = format!(
            "{}{}",
            if own_network { "ip link set lo up\n" } else { "" },
            block.replace("/tmp/hello", here)
        );
        let bash = ["bash", "-e", "-c", &script];
        let words =
            if own_network { [&["unshare", "-n"], &bash[..]].concat() } else { bash.to_vec() };
        let output = Command::new(words[0])
            .args(&words[1..])
            .env("PATH", &path)
            .current_dir(ROOT)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{text}\n{errors}");
        said.push(text);
    }
    said.retain(|text| text.contains("stop drill"));
    let failed: Vec<bool> = said.iter().map(|text| text.contains("exit status 1")).collect();
    // The tests fail first because of readiness, then because of an address, then because there is
    // no restart policy.
    assert_eq!(failed, [true, false, true, false, true, false], "{said:#?}");
    assert!(said.last().is_some_and(|text| text.contains("3 tests passed")), "{said:#?}");
}

/// The pages have TrivialRC's command line as it was published, except for the name of the image.
#[test]
fn the_seeds_command_line_is_unchanged() {
    let tests = page("tests/containers.rs");
    let (_, rest) = tests.split_once("const SEED: &str = \"").expect("the seed's command line");
    let (_, words) = rest.split_once("vorakl/centos-opensmtpd ").unwrap();
    let (words, _) = words.split_once("\";").unwrap();
    for name in ["README.md", "examples/opensmtpd/README.md"] {
        let line = format!("docker run --rm opensmtpd {words}");
        assert!(page(name).contains(&line), "{name} should have: {line}");
    }
}

/// Every link of the pages leads to something that exists.
#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)[^)]*\)").unwrap();
    let mut missing = BTreeSet::new();
    for name in pages().into_iter().chain(["CHANGELOG.md".to_owned()]) {
        let dir = Path::new(ROOT).join(&name).parent().unwrap().to_owned();
        for found in link.captures_iter(&page(&name)) {
            let target = &found[1];
            if !target.contains("://") && !dir.join(target).exists() {
                missing.insert(format!("{name}: {target}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
