//! Replays of the runs that tests make: with `TRC_TEST_RECORD=1`, each run of trc is recorded, and
//! replaying it has to give the same decisions and the same lines.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

/// The record of a run.
pub(crate) struct Recorded(TempDir);

impl Recorded {
    /// Returns the record of the next run, if tests record.
    pub(crate) fn new() -> Option<Self> {
        std::env::var_os("TRC_TEST_RECORD")?;
        let dir = TempDir::new().unwrap();
        // Some runs have another user.
        let anybody = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o1777);
        fs::set_permissions(dir.path(), anybody).unwrap();
        Some(Self(dir))
    }

    /// Returns the file.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("record")
    }

    /// Replays the run, and compares the lines on its two streams with those of the replay, unless they
    /// went elsewhere.
    ///
    /// # Errors
    /// Returns what is different.
    pub(crate) fn check(&self, streams: Option<[&[u8]; 2]>) -> Result<(), String> {
        let path = self.path();
        // A run that could not begin has no record.
        if fs::metadata(&path).map_or(0, |it| it.len()) == 0 {
            return Ok(());
        }
        let replay = replay(&path)?;
        // What trc did just before somebody killed it is not in the record.
        let Some(streams) = streams.filter(|_| replay["record"] == "ended") else { return Ok(()) };
        let said = replay["lines"].as_array().unwrap().iter();
        let said: Vec<&str> = said.map(|line| line["message"].as_str().unwrap()).collect();
        let own = replay["pid"].as_i64().unwrap();
        compare(&said, &streams.map(|stream| own_lines(stream, own)))
    }
}

/// Replays a record.
///
/// # Errors
/// Returns what `trcctl` says, if it does not decide the same.
pub(crate) fn replay(path: &Path) -> Result<Value, String> {
    let trcctl = OsString::from(env!("CARGO_BIN_EXE_trcctl"));
    let replay =
        Command::new(trcctl).arg("replay").arg(path).args(["--format", "json"]).output().unwrap();
    if !replay.status.success() {
        let (out, err) = (replay.stdout, replay.stderr);
        let said = [String::from_utf8_lossy(&out), String::from_utf8_lossy(&err)].concat();
        let short = said.find("\"differs\"").map_or(&said[..], |at| &said[at..]);
        return Err(format!("the replay is not the same: {short}"));
    }
    Ok(serde_json::from_slice(&replay.stdout).unwrap())
}

/// Returns the messages of trc's own lines.
fn own_lines(stream: &[u8], pid: i64) -> Vec<String> {
    // A unit that shares the stream may have written the beginning of the line.
    let own = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d trc \[(main|boot|async|sync|test|halt)/\d+\]: (.*)$";
    let own = Regex::new(own).unwrap();
    let text = String::from_utf8_lossy(stream);
    let lines = text.lines().filter_map(|line| own.captures(line.trim_end_matches('\r')));
    // Scripts have functions that write such lines.
    let other = format!("[main/{pid}]");
    let lines = lines.filter(|found| &found[1] != "main" || found[0].contains(&other));
    lines.map(|found| found[2].to_owned()).collect()
}

/// Compares the lines of a replay with those of the log. The last line of the log may go on with
/// output of units, which a record has not.
fn compare(said: &[&str], streams: &[Vec<String>; 2]) -> Result<(), String> {
    // The log has been cut short.
    let all = || streams.iter().flatten();
    if all().any(|line| line.contains("dropped") || line.contains("lines were lost")) {
        return Ok(());
    }
    let mut used = vec![false; said.len()];
    for stream in streams {
        let mut from = 0;
        for line in stream {
            let is_it = |at: &usize| {
                let own = said[*at].lines().next().unwrap_or_default();
                // Only these may go on with output.
                let more = *at + 1 == said.len() || own.starts_with("test.");
                !used[*at] && (line == own || more && line.starts_with(own))
            };
            let found = (from..said.len()).find(is_it);
            match found {
                Some(at) => (used[at], from) = (true, at + 1),
                None if is_elsewhere(line) => {}
                None => return Err(format!("the replay lacks the line: {line}\n{said:#?}")),
            }
        }
    }
    // In JSON, the lines are elsewhere.
    match used.iter().position(|used| !used).filter(|_| all().next().is_some()) {
        Some(at) => Err(format!("the log lacks a line of the replay: {}", said[at])),
        None => Ok(()),
    }
}

/// Returns whether a line does not come from the engine: those about configurations and files.
fn is_elsewhere(line: &str) -> bool {
    let starts = [
        "error: ",
        "warning: ",
        "note: ",
        "reopened ",
        "cannot reopen ",
        "cannot read the output of ",
    ];
    // With the log level `debug`: what probes have found, and what units have sent.
    let debug = Regex::new(r"^(boot|async|sync|halt)\.[\w@-]+(:| says:) ").unwrap();
    starts.iter().any(|start| line.starts_with(start)) || debug.is_match(line)
}
