//! The rooms of the library use each other in one direction only, as `docs/architecture.md` draws
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The rooms from top to bottom, and the rooms below that each of them uses.
const ROOMS: [(&str, &[&str]); 18] = [
    (
        "ctl",
        &[
            "simulation",
            "record",
            "report",
            "wire",
            "words",
            "engine",
            "graph",
            "config",
            "text",
            "signal",
            "status",
        ],
    ),
    (
        "run",
        &[
            "record", "report", "wire", "words", "engine", "graph", "shell", "journal", "config",
            "schedule", "text", "civil", "regex", "signal", "status",
        ],
    ),
    ("simulation", &["words", "engine", "graph", "config", "signal"]),
    ("record", &["report", "words", "engine", "graph", "config"]),
    ("report", &["journal", "config", "text", "regex"]),
    ("wire", &["config", "signal"]),
    ("words", &["engine", "graph", "config", "signal"]),
    ("engine", &["graph", "config", "signal", "status"]),
    ("graph", &["config", "signal", "status"]),
    ("shell", &["config"]),
    ("journal", &["config", "civil"]),
    ("config", &["schedule", "text", "regex", "signal"]),
    ("schedule", &["text", "civil"]),
    ("text", &[]),
    ("civil", &[]),
    ("regex", &[]),
    ("signal", &[]),
    ("status", &[]),
];

/// Files that are compiled for tests only.
fn is_test(path: &Path) -> bool {
    let names = ["tests", "readers.rs", "with_shells.rs", "lives.rs", "croniter.rs", "tests.rs"];
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

static TESTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#\[cfg\(test\)\]\s*(#\[[^\]]*\]\s*)*mod \w+ \{").unwrap());

/// Returns the code of a file, without comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let text = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    let end = TESTS.find(&text).map_or(text.len(), |found| found.start());
    text[..end].to_owned()
}

/// Returns the first names of paths that begin with `crate::`, such as `crate::a::b` and
/// `crate::{a, b::c}`.
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

/// The page has the same rooms as the test above, in the same order.
#[test]
fn the_picture_in_the_docs_has_these_arrows() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    for (room, below) in ROOMS {
        let below = if below.is_empty() { "nothing".to_owned() } else { below.join(", ") };
        let row = format!("| `{room}` | {below} |");
        assert!(page.contains(&row), "docs/architecture.md should have the row: {row}");
    }
}

/// Pure rooms use neither a clock, nor the kernel, nor files, nor the log.
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

/// Returns the paths in a use tree: for `a::{b, c::{d, e}}`, they are `a::b`, `a::c::d` and
/// `a::c::e`.
fn leaves(prefix: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    let mut rest = tree.trim();
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        path.extend((end > 0).then(|| rest[..end].to_owned()));
        let Some(after) = rest[end..].strip_prefix("::") else { return found.push(path) };
        let Some(group) = after.strip_prefix('{') else {
            rest = after;
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    leaves(&path, &group[start..at], found);
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
}

/// Returns the paths in the library that a module's code names, from the root of the library.
fn paths(module: &[String], code: &str) -> Vec<Vec<String>> {
    static START: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(crate|(?:super::)*super)::").unwrap());
    let mut found = Vec::new();
    for begun in START.captures_iter(code) {
        let ups = begun[1].matches("super").count();
        let base = if ups == 0 { &[][..] } else { &module[..module.len() - ups.min(module.len())] };
        leaves(base, &code[begun.get(0).unwrap().end()..], &mut found);
    }
    found
}

/// Adds the modules that a module uses, directly and indirectly, until the path comes back to its
/// beginning.
fn circle(
    to: &str,
    path: &mut Vec<String>,
    edges: &BTreeMap<String, BTreeSet<String>>,
    seen: &mut BTreeSet<String>,
) -> bool {
    for next in edges.get(&path[path.len() - 1]).into_iter().flatten() {
        path.push(next.clone());
        if next == to || (seen.insert(next.clone()) && circle(to, path, edges, seen)) {
            return true;
        }
        path.pop();
    }
    false
}

/// The modules of a folder, each with everything below it, use each other in one direction only. A
/// folder and its own files may use each other.
#[test]
fn no_modules_use_each_other_in_a_circle() {
    let source = Path::new(ROOT).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let module = |file: &Path| -> Vec<String> {
        let parts = file.strip_prefix(&source).unwrap().with_extension("");
        let parts = parts.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect()
    };
    let known: BTreeSet<Vec<String>> = files.iter().map(|file| module(file)).collect();
    // For each module, which of its children use which others.
    let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for file in &files {
        let from = module(file);
        for path in paths(&from, &code(file)) {
            let to = (0..=path.len()).rev().map(|end| &path[..end]).find(|to| known.contains(*to));
            let Some(to) = to else { continue };
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if let (Some(user), Some(used)) = (from.get(common), to.get(common)) {
                let edges = folders.entry(from[..common].to_vec()).or_default();
                edges.entry(user.clone()).or_default().insert(used.clone());
            }
        }
    }
    assert!(folders.len() > 5, "few folders: {:?}", folders.keys());
    let mut found = Vec::new();
    for (folder, edges) in &folders {
        for start in edges.keys() {
            let mut path = vec![start.clone()];
            if circle(start, &mut path, edges, &mut BTreeSet::new())
                && path.iter().min() == Some(start)
            {
                found.push(format!("src/{}: {}", folder.join("/"), path.join(" -> ")));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
