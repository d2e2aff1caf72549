//! `trcctl graph`: what it prints about a configuration, in each of its forms.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::typist::stty;
use crate::common::{has, python, terminal};

const FORMATS: [&str; 5] = ["tree", "svg", "dot", "mermaid", "json"];

/// The directories of the examples.
const EXAMPLES: [&str; 4] = ["quickstart", "web-stack", "opensmtpd", "opensmtpd/declared"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn trcctl(command: &str, dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args([command, "-w"])
        .arg(dir)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Returns what `trcctl graph` prints about a correct configuration.
fn graph(dir: &Path, arguments: &[&str]) -> String {
    let (status, out, err) = trcctl("graph", dir, arguments);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    out
}

fn configuration(toml: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("trc.toml"), toml).unwrap();
    dir
}

/// Lets a program read a text, and returns what it prints.
fn read(mut program: Command, text: &str) -> String {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program:?}\n{text}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_tree_in_the_docs_is_that_of_the_web_stack() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trcctl.md");
    let page = std::fs::read_to_string(page).unwrap();
    let tree = graph(&example("web-stack"), &[]);
    assert!(page.contains(&format!("$ trcctl graph\n{tree}```")), "{tree}");
}

#[test]
fn a_configuration_with_errors_gets_those_of_check() {
    for wrong in [
        "[async.web]\nexex = 'x'\n",
        "[async.a]\nexec = 'x'\nafter = ['b']\n[async.b]\nexec = 'x'\nafter = ['a']\n",
        "[async.web]\nscript = 'if'\n",
        "[async.web]\nexec = 'x'\n[test.page]\nexec = 'x'\nafter = ['nobody']\n",
    ] {
        let dir = configuration(wrong);
        let path = std::env::var("PATH").unwrap();
        let run = |command: &str, more: &[&str]| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_trcctl"));
            program.args([command, "-w"]).arg(dir.path()).args(more);
            let output = program.env_clear().env("PATH", &path).output().unwrap();
            (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
        };
        let checked = run("check", &[]);
        assert_eq!((checked.0, &checked.1[..]), (Some(78), &b""[..]), "{wrong}");
        for format in FORMATS {
            assert_eq!(run("graph", &["--format", format]), checked, "{wrong}");
        }
    }
}

#[test]
fn a_directory_without_a_configuration_is_an_error() {
    let dir = TempDir::new().unwrap();
    let (status, out, err) = trcctl("graph", dir.path(), &[]);
    assert_eq!((status, out.as_str()), (Some(78), ""));
    assert!(err.contains("has neither a trc.toml nor a trc.d"), "{err}");
}

#[test]
fn a_warning_is_for_check_alone() {
    let dir = configuration("[async.web]\nexec = 'x'\nstop.timeout = '20s'\n");
    assert!(trcctl("check", dir.path(), &[]).2.contains("warning"));
    assert!(graph(dir.path(), &[]).contains("web"));
}

#[test]
fn it_takes_the_command_line_of_trc() {
    let dir = configuration(
        "[async.db]\nexec = 'x'\n[async.web]\nexec = 'x'\nafter = ['db']\n[async.x]\nexec = 'x'\n",
    );
    let shown = graph(
        dir.path(),
        &["--only", "web,F1", "-c", "async.db.ready.tcp=5432", "-F", "true", "--format", "json"],
    );
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let of = |key: &str| -> Vec<&Value> {
        shown["units"].as_array().unwrap().iter().map(|unit| &unit[key]).collect()
    };
    assert_eq!(of("name"), ["async.db", "async.web", "sync.F1"]);
    assert_eq!(*of("ready")[0], "tcp");
}

#[test]
fn tests_are_shown_if_somebody_asks_for_them() {
    let dir = configuration(
        "[async.web]\nexec = 'x'\n[test.page]\nexec = 'x'\nafter = ['web']\n\
         [test.all]\nexec = '${ONLY_IN_A_TEST_RUN}'\n",
    );
    let names = |arguments: &[&str]| -> Vec<String> {
        let shown = graph(dir.path(), &[&["--format", "json"], arguments].concat());
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let units = shown["units"].as_array().unwrap();
        units.iter().map(|unit| unit["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["async.web"]);
    assert_eq!(names(&["--tests"]), ["async.web", "test.page", "test.all"]);
    assert_eq!(names(&["--tests=page"]), ["async.web", "test.page"]);
    assert_eq!(names(&["--test=page"]), ["async.web", "test.page"]);
}

/// A test that waits for a unit's end made it a one-shot, though there are no tests in production.
#[test]
fn a_unit_is_what_it_is_in_production() {
    let dir =
        configuration("[async.x]\nexec = 'x'\n[test.t]\nexec = 'x'\nafter = { x = 'exited' }\n");
    let kind = |arguments: &[&str]| {
        let shown = graph(dir.path(), &[&["--format", "json"], arguments].concat());
        serde_json::from_str::<Value>(&shown).unwrap()["units"][0]["kind"].clone()
    };
    assert_eq!(kind(&[]), "service");
    assert_eq!(kind(&["--tests"]), "one-shot");
}

#[test]
fn json_has_what_the_docs_say() {
    let dir = configuration(
        "[async.db]\nexec = 'x'\ndescription = 'a database'\nready.tcp = 1\nrestart = 'always'\n\
         [async.web]\nexec = 'x'\nafter = { db = 'started' }\nrestart = { when = 'on-failure', with = ['db'] }\n\
         [async.mail]\nready.tcp = 25\n\
         [async.job]\nexec = 'x'\nschedule = { when = '@daily', tz = 'UTC' }\nautostart = false\n",
    );
    let shown: Value = serde_json::from_str(&graph(dir.path(), &["--format", "json"])).unwrap();
    let unit = |name: &str, kind: &str| {
        json!({
            "name": name, "stage": "async", "kind": kind, "ready": null, "restart": "no",
            "restart_with": [], "autostart": true,
        })
    };
    let with = |mut unit: Value, more: Value| {
        let Value::Object(more) = more else { panic!() };
        unit.as_object_mut().unwrap().extend(more);
        unit
    };
    let expected = json!({
        "title": dir.path().file_name().unwrap().to_str(),
        "units": [
            with(unit("async.db", "service"), json!({ "description": "a database", "ready": "tcp", "restart": "always" })),
            with(unit("async.web", "service"), json!({ "restart": "on-failure", "restart_with": ["async.db"] })),
            with(unit("async.mail", "external"), json!({ "ready": "tcp" })),
            with(unit("async.job", "job"), json!({ "schedule": "@daily", "tz": "UTC", "autostart": false })),
        ],
        "edges": [{ "from": "async.db", "to": "async.web", "condition": "started", "written": true }],
        "stop_order": [["async.web", "async.job"], ["async.db"]],
    });
    assert_eq!(shown, expected);
}

/// Returns what a terminal with so many columns shows.
fn on_a_terminal(dir: &Path, columns: u16, variables: &[(&str, &str)]) -> String {
    let pty = terminal();
    stty(&pty.slave, &format!("rows 24 cols {columns} -onlcr"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["graph", "-w"])
        .arg(dir)
        .env_clear()
        .envs(variables.iter().copied())
        .stdout(Stdio::from(pty.slave.try_clone().unwrap()))
        .spawn()
        .unwrap();
    drop(pty.slave);
    let mut said = Vec::new();
    // The end of a terminal is an error.
    _ = File::from(pty.master).read_to_end(&mut said);
    assert!(child.wait().unwrap().success());
    String::from_utf8(said).unwrap()
}

#[test]
fn a_terminal_gets_colours_and_no_line_that_is_too_long() {
    let dir = example("web-stack");
    let narrow = on_a_terminal(&dir, 60, &[("TERM", "xterm"), ("NO_COLOR", "1")]);
    assert!(!narrow.contains('\x1b'), "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    assert!(narrow.contains("migrate"), "{narrow}");
    let coloured = on_a_terminal(&dir, 60, &[("TERM", "xterm")]);
    assert!(coloured.contains("\x1b[32mservice\x1b[0m"), "{coloured}");
    assert!(!graph(&dir, &[]).contains('\x1b'));
    assert!(graph(&dir, &["--color", "always"]).contains('\x1b'));
}

/// A configuration of names that try to end whatever they are in.
const NASTY: &str = r##"
[async.end]
exec = 'x'
[async."\"]; a --> b"]
exec = 'x'
ready.notify = true
after = ["end", "</text><script>"]
[async."</text><script>"]
exec = 'x'
[async."]]>"]
exec = 'x'
schedule.when = "@daily"
[async.'\']
exec = 'x'
after = ['\N', '&lt;']
[async.'\N']
exec = 'x'
[async.'&lt;']
exec = 'x'
[async."%%{init: {}}%%"]
exec = 'x'
[async."1. one"]
exec = 'x'
[async."- `two`"]
exec = 'x'
[async."#35; #quot;"]
exec = 'x'
[async."subgraph"]
exec = 'x'
[async."größe 語"]
exec = 'x'
description = "--> </desc> \u0001"
"##;

/// Returns that configuration, and its names.
fn nasty() -> (TempDir, Vec<String>) {
    let dir = configuration(NASTY);
    let shown: Value = serde_json::from_str(&graph(dir.path(), &["--format", "json"])).unwrap();
    let units = shown["units"].as_array().unwrap();
    let names: Vec<String> =
        units.iter().map(|unit| unit["name"].as_str().unwrap()[6..].to_owned()).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    (dir, names)
}

/// The texts of a picture, as a parser of XML reads them.
const TEXTS: &str = "\
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
assert root.tag == '{http://www.w3.org/2000/svg}svg', root.tag
tags = {element.tag.split('}')[1] for element in root.iter()}
assert tags <= {'svg', 'title', 'desc', 'style', 'rect', 'path', 'g', 'text'}, tags
assert [element.tag.split('}')[1] for element in root][:2] == ['title', 'desc']
print(json.dumps([element.text for element in root.iter('{http://www.w3.org/2000/svg}text')]))
";

fn texts(svg: &str) -> Vec<String> {
    let mut parser = Command::new(python());
    parser.args(["-c", TEXTS]);
    serde_json::from_str(&read(parser, svg)).unwrap()
}

#[test]
fn a_parser_of_xml_reads_the_pictures() {
    for name in EXAMPLES {
        let shown = texts(&graph(&example(name), &["--tests", "--format", "svg"]));
        assert!(shown.contains(&"async".to_owned()) || shown.contains(&"sync".to_owned()));
    }
    let (dir, names) = nasty();
    let shown = texts(&graph(dir.path(), &["--format", "svg"]));
    for name in names {
        assert!(shown.contains(&name), "{name}: {shown:?}");
    }
}

#[test]
fn graphviz_reads_the_graphs() {
    if !has("dot") {
        return;
    }
    let dot = |to: &str, text: &str| {
        let mut program = Command::new("dot");
        program.arg(format!("-T{to}"));
        read(program, text)
    };
    for name in EXAMPLES {
        assert!(
            dot("svg", &graph(&example(name), &["--tests", "--format", "dot"])).contains("</svg>")
        );
    }
    let (dir, names) = nasty();
    let drawn = dot("svg", &graph(dir.path(), &["--format", "dot"]));
    // Graphviz draws a space that does not break.
    let shown = texts_of_graphviz(&drawn);
    for name in names {
        assert!(shown.contains(&name), "{name}: {shown:?}");
    }
}

fn texts_of_graphviz(svg: &str) -> Vec<String> {
    const READ: &str = "\
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
texts = root.iter('{http://www.w3.org/2000/svg}text')
print(json.dumps([element.text.replace('\\u00a0', ' ') for element in texts]))
";
    let mut parser = Command::new(python());
    parser.args(["-c", READ]);
    serde_json::from_str(&read(parser, svg)).unwrap()
}

#[test]
#[ignore = "needs TRC_REPORT_TOOLS, a directory that tests/reports/setup made"]
fn mermaid_reads_the_flowcharts() {
    let (dir, names) = nasty();
    let mut charts: Vec<String> = EXAMPLES
        .iter()
        .map(|name| graph(&example(name), &["--tests", "--format", "mermaid"]))
        .collect();
    charts.push(graph(dir.path(), &["--format", "mermaid"]));
    let tools = PathBuf::from(std::env::var_os("TRC_REPORT_TOOLS").expect("TRC_REPORT_TOOLS"));
    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/mermaid.cjs"));
    node.env("NODE_PATH", tools.join("node_modules"));
    let understood = read(node, &serde_json::to_string(&charts).unwrap());
    let understood: Vec<Value> = serde_json::from_str(&understood).unwrap();
    let web_stack = &understood[1];
    assert_eq!(web_stack["stages"]["boot"], json!(["u0"]));
    let edges = web_stack["edges"].as_array().unwrap();
    assert!(edges.contains(&json!(["u2", "u3", "ready"])), "{edges:?}");
    assert!(edges.contains(&json!(["u3", "u4", "succeeded"])), "{edges:?}");
    assert!(edges.contains(&json!(["stage_boot", "stage_async", ""])), "{edges:?}");
    let nodes = understood.last().unwrap()["nodes"].as_object().unwrap();
    let mut shown: Vec<&str> =
        nodes.values().map(|text| text.as_str().unwrap().split('\n').next().unwrap()).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    shown.sort_unstable();
    names.sort_unstable();
    assert_eq!(shown, names);
}
