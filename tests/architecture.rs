//! The rooms of the library use each other in one direction only, as `docs/architecture.md` draws
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The rooms from top to bottom, and which of those below each of them uses.
const ROOMS: [(&str, &[&str]); 13] = [
    ("ctl", &["report", "graph", "config", "status"]),
    (
        "run",
        &[
            "report", "words", "engine", "graph", "shell", "journal", "config", "regex", "signal",
            "status",
        ],
    ),
    ("simulation", &["engine", "graph", "config", "signal"]),
    ("report", &["journal", "config", "regex"]),
    ("words", &["engine", "graph", "config", "signal"]),
    ("engine", &["graph", "config", "signal", "status"]),
    ("graph", &["config", "signal", "status"]),
    ("shell", &["config"]),
    ("journal", &["config"]),
    ("config", &["regex", "signal"]),
    ("regex", &[]),
    ("signal", &[]),
    ("status", &[]),
];

/// Files that are compiled for tests only.
fn is_test(path: &Path) -> bool {
    let names = ["tests", "readers.rs", "with_shells.rs", "lives.rs", "tests.rs"];
    path.iter().any(|part| names.iter().any(|name| part == *name))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if is_test(&path) {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A file's code, without its comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let comments = Regex::new(r"(?m)^\s*//.*$").unwrap();
    let text = comments.replace_all(&text, "");
    let tests = Regex::new(r"#\[cfg\(test\)\]\s*(#\[[^\]]*\]\s*)*mod \w+ \{").unwrap();
    let end = tests.find(&text).map_or(text.len(), |found| found.start());
    text[..end].to_owned()
}

/// The first names of paths that begin with `crate::`: of `crate::a::b` and `crate::{a, b::c}`.
fn uses(code: &str) -> BTreeSet<String> {
    let one = Regex::new(r"\bcrate::(\w+)").unwrap();
    let word = Regex::new(r"(?:^|,)\s*(\w+)").unwrap();
    let group = Regex::new(r"\bcrate::\{([^;]*)\}").unwrap();
    let mut found: BTreeSet<String> =
        one.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for names in group.captures_iter(code) {
        found.extend(word.captures_iter(&names[1]).map(|found| found[1].to_owned()));
    }
    found
}

#[test]
fn rooms_use_those_below_them_only() {
    let source = Path::new(ROOT).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let mut drawn: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (at, (room, below)) in ROOMS.iter().enumerate() {
        for other in *below {
            let under = ROOMS[at + 1..].iter().any(|(name, _)| name == other);
            assert!(under, "{room} is to use {other}, which is not below it");
        }
        drawn.insert(room, below.iter().copied().collect());
    }
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let name = file.strip_prefix(&source).unwrap();
        let first = name.iter().next().unwrap().to_str().unwrap();
        let room = first.trim_end_matches(".rs");
        let Some((room, below)) = drawn.get_key_value(room) else { continue };
        for other in uses(&code(&file)) {
            if other == *room {
                continue;
            }
            assert!(
                below.contains(other.as_str()),
                "src/{} uses {other}, which {room} is not drawn to use",
                name.display()
            );
            seen.entry(room).or_default().insert(other);
        }
    }
    for (room, below) in &drawn {
        let seen = seen.remove(room).unwrap_or_default();
        let idle: Vec<_> = below.iter().filter(|other| !seen.contains(**other)).collect();
        assert!(idle.is_empty(), "{room} is drawn to use {idle:?}, and does not");
    }
}

/// A room of the library that is drawn, in the order of the test above, is on the page too.
#[test]
fn the_picture_in_the_docs_has_these_arrows() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    for (room, below) in ROOMS {
        let below = if below.is_empty() { "nothing".to_owned() } else { below.join(", ") };
        let row = format!("| `{room}` | {below} |");
        assert!(page.contains(&row), "docs/architecture.md should have the row: {row}");
    }
}

/// Who is pure asks nobody: no clock, no kernel, no file, no log.
#[test]
fn the_engine_its_simulation_and_the_words_ask_nobody() {
    let forbidden = Regex::new(
        r"std::(fs|net|process|thread|env)\b|Instant|SystemTime|\bunsafe\b|log::(debug|info|warn|error|trace)!|getpid|geteuid",
    )
    .unwrap();
    for room in ["engine", "words", "graph", "simulation"] {
        let mut files = Vec::new();
        sources(&Path::new(ROOT).join("src").join(room), &mut files);
        assert!(!files.is_empty());
        for file in files {
            let code = code(&file);
            let found = forbidden.find(&code).map(|found| found.as_str());
            assert_eq!(found, None, "{}", file.display());
        }
    }
}
