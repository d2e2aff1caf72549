//! Validators by others accept every file of the examples and of the pages with the schema that
//! `trcctl schema` prints, and refuse broken files at the key that is wrong.
//! `src/config/tests/schema.rs` compares the schema with what trc itself accepts.
//!
//!     tests/reports/setup target/report-tools
//!     TRC_REPORT_TOOLS=$PWD/target/report-tools cargo test --test suite schema:: -- --ignored

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::openapi::read;
use crate::readme::{blocks, page, pages};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The kinds of files.
const FILES: [&str; 3] = ["trc.toml", "unit", "test"];

fn schema(file: &str) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_trcctl")).args(["schema", file]).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn schemas() -> Value {
    FILES
        .iter()
        .map(|file| ((*file).to_owned(), schema(file)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Returns the kind of a file with this name.
fn kind(name: &str) -> &'static str {
    match name.trim_end_matches(".toml").split_once('.') {
        Some(("test", _)) => "test",
        Some(("boot" | "async" | "sync" | "halt", _)) => "unit",
        _ => "trc.toml",
    }
}

/// Returns the kind and the text of every file of the examples, and of every block of the pages.
fn right() -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(ROOT).join("examples"), Path::new(ROOT).join("conf.d")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some("toml".as_ref()) {
                let name = path.file_name().unwrap().to_str().unwrap();
                files.push((kind(name), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    for name in pages() {
        for block in blocks(&page(&name), "toml") {
            let file = block.lines().next().and_then(|line| line.strip_prefix("# "));
            let file = file.filter(|file| Path::new(file).extension() == Some("toml".as_ref()));
            let file = file.unwrap_or("trc.toml");
            files.push((kind(file.rsplit('/').next().unwrap()), block));
        }
    }
    files
}

/// Broken files, and the key that is wrong in each.
const BROKEN: &[(&str, &str, &str)] = &[
    // A misspelt key in each table.
    ("trc.toml", "asinc.web.exec = 'x'", "asinc"),
    ("trc.toml", "shutdown.timout = '9s'", "shutdown.timout"),
    ("trc.toml", "log.levle = 'info'", "log.levle"),
    ("trc.toml", "control.sock = false", "control.sock"),
    ("trc.toml", "signals.HPU = 'stop'", "signals.HPU"),
    ("trc.toml", "signals.HUP = { forwrad = 'QUIT' }", "signals.HUP.forwrad"),
    ("trc.toml", "exit.stoped = 0", "exit.stoped"),
    ("trc.toml", "async.web.exce = 'x'", "async.web.exce"),
    ("trc.toml", "sync.web.ready.tpc = 80", "sync.web.ready.tpc"),
    ("trc.toml", "sync.web.ready.http.ulr = 'http://a'", "sync.web.ready.http.ulr"),
    ("trc.toml", "sync.web.ready.log.patern = 'x'", "sync.web.ready.log.patern"),
    ("trc.toml", "sync.web.health.evry = '5s'", "sync.web.health.evry"),
    ("trc.toml", "async.web.restart.wehn = 'always'", "async.web.restart.wehn"),
    ("trc.toml", "async.web.schedule.wen = '@daily'", "async.web.schedule.wen"),
    ("trc.toml", "async.web.stop.sigal = 'QUIT'", "async.web.stop.sigal"),
    ("trc.toml", "async.web.reload.sig = 'HUP'", "async.web.reload.sig"),
    ("trc.toml", "async.web.pre_start.command = 'x'", "async.web.pre_start.command"),
    ("trc.toml", "async.web.post_stop.command = 'x'", "async.web.post_stop.command"),
    ("trc.toml", "async.web.dirs.'/a' = { onwer = 'x' }", "async.web.dirs./a.onwer"),
    ("trc.toml", "async.web.files.'/a' = { templat = '/b' }", "async.web.files./a.templat"),
    ("trc.toml", "async.web.output = { file = '/a', kep = 3 }", "async.web.output.kep"),
    ("trc.toml", "async.web.limits.nofiles = 1024", "async.web.limits.nofiles"),
    ("trc.toml", "async.web.env.A = { fiel = '/a' }", "async.web.env.A.fiel"),
    ("trc.toml", "async.web.stdin = { path = '/a' }", "async.web.stdin.path"),
    ("trc.toml", "test.web.expct.tcp = 80", "test.web.expct"),
    ("trc.toml", "test.web.restart = 'always'", "test.web.restart"),
    ("trc.toml", "test.web.expect.tpc = 80", "test.web.expect.tpc"),
    (
        "trc.toml",
        "test.web.expect.http = { url = 'http://a', stauts = 200 }",
        "test.web.expect.http.stauts",
    ),
    ("trc.toml", "test.web.expect.http.send.mehtod = 'PUT'", "test.web.expect.http.send.mehtod"),
    ("trc.toml", "test.web.expect.file.pth = '/a'", "test.web.expect.file.pth"),
    ("trc.toml", "test.web.expect.listener.port = 80", "test.web.expect.listener.port"),
    ("trc.toml", "test.web.expect.tree.pth = '/a'", "test.web.expect.tree.pth"),
    ("trc.toml", "test.web.expect.certificate.pth = '/a'", "test.web.expect.certificate.pth"),
    ("trc.toml", "test.web.expect.dns.nmae = 'a'", "test.web.expect.dns.nmae"),
    ("trc.toml", "test.web.expect.user_account.nmae = 'a'", "test.web.expect.user_account.nmae"),
    ("trc.toml", "test.web.expect.group_account.nmae = 'a'", "test.web.expect.group_account.nmae"),
    ("trc.toml", "test.web.expect.mount.pth = '/a'", "test.web.expect.mount.pth"),
    ("trc.toml", "test.web.expect.env.sett.A = 1", "test.web.expect.env.sett"),
    ("trc.toml", "test.web.expect.log.contain = 'x'", "test.web.expect.log.contain"),
    ("trc.toml", "test.web.expect.fault.untt = 'web'", "test.web.expect.fault.untt"),
    ("trc.toml", "test.web.expect.during.htp = 'http://a'", "test.web.expect.during.htp"),
    ("trc.toml", "test.web.expect.after_stop.fil = '/a'", "test.web.expect.after_stop.fil"),
    ("unit", "exce = 'x'", "exce"),
    ("unit", "exec = 'x'\n[async.web]\nexec = 'x'", "async"),
    ("test", "ready.tcp = 80", "ready"),
    // A value of another type.
    ("trc.toml", "log = 'debug'", "log"),
    ("trc.toml", "async = ['x']", "async"),
    ("trc.toml", "async.web = 'nginx'", "async.web"),
    ("trc.toml", "async.exec = 'nginx'", "async.exec"),
    ("trc.toml", "async.web.description = 1", "async.web.description"),
    ("trc.toml", "async.web.oneshot = 'yes'", "async.web.oneshot"),
    ("trc.toml", "async.web.oneshot = 1", "async.web.oneshot"),
    ("trc.toml", "async.web.max_runtime = true", "async.web.max_runtime"),
    ("trc.toml", "async.web.user = true", "async.web.user"),
    ("trc.toml", "async.web.groups = 33", "async.web.groups"),
    ("trc.toml", "async.web.exec = 1", "async.web.exec"),
    ("trc.toml", "async.web.exec = ['sleep', 1]", "async.web.exec.1"),
    ("trc.toml", "async.web.exec = []", "async.web.exec"),
    ("trc.toml", "async.web.stop = 15", "async.web.stop"),
    ("trc.toml", "async.web.ready = 80", "async.web.ready"),
    ("trc.toml", "async.web.env = ['A=1']", "async.web.env"),
    ("trc.toml", "async.web.env.A = ['1']", "async.web.env.A"),
    ("trc.toml", "async.web.after = [{ db = 'ready' }]", "async.web.after.0"),
    ("trc.toml", "async.web.nice = 1.5", "async.web.nice"),
    ("trc.toml", "async.web.instances = true", "async.web.instances"),
    ("trc.toml", "file_env = 1", "file_env"),
    ("trc.toml", "control.socket = true", "control.socket"),
    ("trc.toml", "log.syslog = 1", "log.syslog"),
    ("trc.toml", "test.web.expect.sysctl.a = { b = 1 }", "test.web.expect.sysctl.a"),
    ("unit", "success = 'none'", "success"),
    // A word that does not exist.
    ("trc.toml", "wait = 'first'", "wait"),
    ("trc.toml", "log.level = 'verbose'", "log.level"),
    ("trc.toml", "log.format = 'xml'", "log.format"),
    ("trc.toml", "control.allow.x = 'write'", "control.allow.x"),
    ("trc.toml", "signals.HUP = 'restart'", "signals.HUP"),
    ("trc.toml", "async.web.restart = 'unless-stopped'", "async.web.restart"),
    ("trc.toml", "async.web.restart.when = 'never'", "async.web.restart.when"),
    ("trc.toml", "async.web.on_failure = 'exit'", "async.web.on_failure"),
    ("trc.toml", "async.web.after = { db = 'healthy' }", "async.web.after.db"),
    ("trc.toml", "async.web.after = { async.db = 'healthy' }", "async.web.after.async.db"),
    ("trc.toml", "async.web.output = 'file'", "async.web.output"),
    ("trc.toml", "async.web.stdin = 'tty'", "async.web.stdin"),
    ("trc.toml", "async.web.capabilities = ['net_bind']", "async.web.capabilities.0"),
    ("trc.toml", "async.web.health.then = 'reboot'", "async.web.health.then"),
    ("trc.toml", "test.web.expect.file.type = 'link'", "test.web.expect.file.type"),
    ("trc.toml", "test.web.expect.tree.forbids = ['suid']", "test.web.expect.tree.forbids.0"),
    // A text that the reader does not understand.
    ("trc.toml", "shutdown.timeout = '10 seconds'", "shutdown.timeout"),
    ("trc.toml", "async.web.stop.timeout = '10sec'", "async.web.stop.timeout"),
    ("trc.toml", "async.web.stop.timeout = -1", "async.web.stop.timeout"),
    ("trc.toml", "async.web.restart.backoff = '1s-5s'", "async.web.restart.backoff"),
    ("trc.toml", "async.web.stop.signal = 'SIGSTP'", "async.web.stop.signal"),
    ("trc.toml", "async.web.pdeathsig = 99", "async.web.pdeathsig"),
    ("trc.toml", "async.web.umask = '098'", "async.web.umask"),
    ("trc.toml", "async.web.limits.as = '2TB'", "async.web.limits.as"),
    ("trc.toml", "async.web.success = [0, 256]", "async.web.success.1"),
    ("trc.toml", "async.web.user = 'a b'", "async.web.user"),
    ("trc.toml", "async.web.ready.tcp = 'db'", "async.web.ready.tcp"),
    ("trc.toml", "async.web.ready.tcp = 70000", "async.web.ready.tcp"),
    (
        "trc.toml",
        "async.web.ready.http = { url = 'http://a', status = '2yy' }",
        "async.web.ready.http.status",
    ),
    ("trc.toml", "async.web.dirs = { 'a' = {} }", "async.web.dirs"),
    ("trc.toml", "control.log_buffer = '1 MO'", "control.log_buffer"),
    ("trc.toml", "exit.138 = 300", "exit.138"),
    ("trc.toml", "test.web.expect.listening = ['80/sctp']", "test.web.expect.listening.0"),
    (
        "trc.toml",
        "test.web.expect.certificate.valid_for = '30 days'",
        "test.web.expect.certificate.valid_for",
    ),
    ("trc.toml", "test.web.expect.max_rss = '64 megs'", "test.web.expect.max_rss"),
];

#[test]
fn trcctl_prints_a_schema_for_each_kind_of_file() {
    let plain = Command::new(env!("CARGO_BIN_EXE_trcctl")).arg("schema").output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&plain.stdout).unwrap(), schema("trc.toml"));
    for file in FILES {
        let schema = schema(file);
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        let has = |key: &str| schema["properties"].get(key).is_some();
        let found = [has("async"), has("restart"), has("expect")];
        assert_eq!(found, [file == "trc.toml", file == "unit", file == "test"], "{file}");
    }
}

#[test]
fn another_kind_of_file_is_a_wrong_command_line() {
    let other = Command::new(env!("CARGO_BIN_EXE_trcctl")).args(["schema", "x"]).output().unwrap();
    assert_eq!(other.status.code(), Some(64));
}

#[test]
#[ignore = "needs Python packages; .ci/run has them"]
fn jsonschema_accepts_valid_files_and_refuses_mistakes_at_their_keys() {
    let ask = |files: Vec<(&str, String)>| {
        let asked = json!({ "schemas": schemas(), "files": files });
        let said = read("schema.py", &[], &asked.to_string());
        serde_json::from_value::<Vec<Vec<String>>>(said).unwrap()
    };
    let right = right();
    assert!(right.len() > 80, "{}", right.len());
    for ((kind, text), refused) in right.iter().zip(ask(right.clone())) {
        assert!(refused.is_empty(), "{kind}:\n{text}\n{refused:?}");
    }
    let broken = BROKEN.iter().map(|(kind, text, _)| (*kind, (*text).to_owned())).collect();
    let said: Vec<_> = BROKEN.iter().zip(ask(broken)).map(|(one, said)| (one.1, said)).collect();
    let expected: Vec<_> = BROKEN.iter().map(|one| (one.1, vec![one.2.to_owned()])).collect();
    for (said, expected) in said.iter().zip(&expected) {
        assert_eq!(said, expected);
    }
}

/// taplo is what editors use.
#[test]
#[ignore = "needs an npm package; .ci/run has it"]
fn taplo_accepts_valid_files_and_refuses_mistakes() {
    let tools = PathBuf::from(std::env::var_os("TRC_REPORT_TOOLS").expect("TRC_REPORT_TOOLS"));
    let dir = TempDir::new().unwrap();
    let lint = |folder: &str, files: &[(&str, String)]| {
        let folder = dir.path().join(folder);
        fs::create_dir(&folder).unwrap();
        for file in FILES {
            let text = schema(file).to_string();
            fs::write(folder.join(format!("{file}.schema.json")), text).unwrap();
        }
        for (number, (kind, text)) in files.iter().enumerate() {
            let text = format!("#:schema ./{kind}.schema.json\n{text}\n");
            fs::write(folder.join(format!("{number}.toml")), text).unwrap();
        }
        let output = Command::new(tools.join("node_modules/.bin/taplo"))
            .args(["lint", "--no-auto-config", "--colors", "never"])
            .args((0..files.len()).map(|number| format!("{number}.toml")))
            .current_dir(&folder)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (accepted, said) = lint("right", &right());
    assert!(accepted, "{said}");
    let broken: Vec<(&str, String)> =
        BROKEN.iter().map(|(kind, text, _)| (*kind, (*text).to_owned())).collect();
    let (_, said) = lint("broken", &broken);
    for (number, (kind, text)) in broken.iter().enumerate() {
        let refused = said.lines().any(|line| {
            line.contains("schema validation failed") && line.contains(&format!("/{number}.toml"))
        });
        assert!(refused, "{kind}: {text}\n{said}");
    }
}
