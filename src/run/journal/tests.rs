//! The lines themselves, written to files.

use std::io::{Read as _, Seek as _};
use std::os::fd::AsFd as _;

use serde_json::{Value, json};

use super::*;
use crate::journal::line::MAX_LINE;
use crate::journal::time::tests::{SEED, at, moved};

const CLOCK: Clock = Clock { now: || at(SEED, 123), local: |second| moved(second, 3600) };

/// A journal that writes to two files.
struct Files {
    journal: Journal,
    out: std::fs::File,
    err: std::fs::File,
}

impl Files {
    fn new(format: LogFormat, level: LevelFilter) -> Self {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let streams = Streams::of(out.as_fd(), err.as_fd());
        Self { journal: Journal::new(format, level, 1, CLOCK, streams), out, err }
    }

    /// What is in both files: standard output's, standard error's.
    fn bytes(&mut self) -> (Vec<u8>, Vec<u8>) {
        let read = |file: &mut std::fs::File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        (read(&mut self.out), read(&mut self.err))
    }

    fn text(&mut self) -> (String, String) {
        let (out, err) = self.bytes();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn objects(&mut self) -> Vec<Value> {
        let (out, err) = self.text();
        out.lines().chain(err.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn say(journal: &Journal, level: Level, message: &str) {
    journal.main(at(SEED, 123), level, "said", format_args!("{message}"));
}

fn exited(message: fmt::Arguments<'_>) -> Entry<'_> {
    Entry {
        level: Level::Info,
        stage: "async",
        pid: 16,
        unit: Some("async.D1"),
        event: "exited",
        exitcode: Some(0),
        message,
    }
}

#[test]
fn a_line_as_trivialrc_writes_it() {
    let mut files = Files::new(LogFormat::Trc, LevelFilter::Info);
    files.journal.entry(
        at(SEED, 123),
        &exited(format_args!("Exiting on the background (exitcode={}): {}", 0, "sleep 3")),
    );
    assert_eq!(
        files.text().0,
        "2017-03-16 21:40:50 trc [async/16]: Exiting on the background (exitcode=0): sleep 3\n"
    );
}

#[test]
fn the_same_line_as_json() {
    let mut files = Files::new(LogFormat::Json, LevelFilter::Info);
    files.journal.entry(at(SEED, 123), &exited(format_args!("Exiting")));
    assert_eq!(
        files.text().0,
        concat!(
            r#"{"time":"2017-03-16T21:40:50.123+01:00","level":"info","stage":"async","pid":16,"#,
            r#""unit":"async.D1","event":"exited","exitcode":0,"message":"Exiting"}"#,
            "\n"
        )
    );
}

#[test]
fn what_does_not_apply_is_left_out_of_json() {
    let mut files = Files::new(LogFormat::Json, LevelFilter::Info);
    say(&files.journal, Level::Info, "The wait policy: wait_any");
    assert_eq!(
        files.objects(),
        [json!({
            "time": "2017-03-16T21:40:50.123+01:00", "level": "info", "stage": "main",
            "pid": 1, "event": "said", "message": "The wait policy: wait_any",
        })]
    );
}

#[test]
fn levels_choose_what_is_said_and_where() {
    use Level::{Debug, Error, Info, Trace, Warn};
    let cases = [
        (LevelFilter::Off, "", ""),
        (LevelFilter::Error, "", "E"),
        (LevelFilter::Warn, "", "EW"),
        (LevelFilter::Info, "I", "EW"),
        (LevelFilter::Debug, "ID", "EW"),
        (LevelFilter::Trace, "IDT", "EW"),
    ];
    for (filter, out, err) in cases {
        let mut files = Files::new(LogFormat::Trc, filter);
        for (level, mark) in [(Error, "E"), (Warn, "W"), (Info, "I"), (Debug, "D"), (Trace, "T")] {
            say(&files.journal, level, mark);
        }
        let (got_out, got_err) = files.text();
        let marks =
            |text: &str| text.lines().map(|line| &line[line.len() - 1..]).collect::<String>();
        assert_eq!((marks(&got_out).as_str(), marks(&got_err).as_str()), (out, err), "{filter}");
    }
}

#[test]
fn a_script_of_several_lines_stays_as_it_is_in_text_only() {
    let script = "echo 1\necho \"2\"\n";
    let mut text = Files::new(LogFormat::Trc, LevelFilter::Info);
    say(&text.journal, Level::Info, script);
    assert_eq!(text.text().0, "2017-03-16 21:40:50 trc [main/1]: echo 1\necho \"2\"\n\n");
    let mut json = Files::new(LogFormat::Json, LevelFilter::Info);
    say(&json.journal, Level::Info, script);
    assert_eq!(json.objects()[0]["message"], script);
}

#[test]
fn no_field_can_forge_json() {
    let forged = "x\",\"exitcode\":99}\n{\"level\":\"error";
    let mut files = Files::new(LogFormat::Json, LevelFilter::Info);
    files.journal.entry(
        at(SEED, 0),
        &Entry {
            stage: forged,
            unit: Some(forged),
            event: forged,
            ..exited(format_args!("{forged}{}", '"'))
        },
    );
    let source = Source::new(forged, forged, 2, Side::Out);
    files.journal.captured(&source, &mut Vec::new(), b"a\"}\n");
    let objects = files.objects();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["exitcode"], 0);
    assert_eq!(objects[0]["message"], format!("{forged}\""));
    assert_eq!(objects[0]["unit"], forged);
    assert_eq!(objects[1]["message"], "a\"}");
    assert_eq!(objects[1]["stage"], forged);
}

#[test]
fn the_log_crate_writes_the_same_lines() {
    let mut files = Files::new(LogFormat::Trc, LevelFilter::Debug);
    let logger = logger::split(&files.journal);
    for level in [Level::Debug, Level::Warn] {
        log::Log::log(
            &logger,
            &log::Record::builder().level(level).args(format_args!("a {level} line")).build(),
        );
    }
    assert_eq!(
        files.text(),
        (
            "2017-03-16 21:40:50 trc [main/1]: a DEBUG line\n".to_owned(),
            "2017-03-16 21:40:50 trc [main/1]: a WARN line\n".to_owned()
        )
    );
    files.journal.set_format(LogFormat::Json);
    log::Log::log(&logger, &log::Record::builder().args(format_args!("x")).build());
    let last = files.text().0.lines().last().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["event"], "log");
}

#[test]
fn a_message_that_logs_does_not_hang() {
    struct Loud(Journal);
    impl fmt::Display for Loud {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            say(&self.0, Level::Info, "inner");
            f.write_str("outer")
        }
    }
    let mut files = Files::new(LogFormat::Trc, LevelFilter::Info);
    let loud = Loud(files.journal.clone());
    files.journal.main(at(SEED, 0), Level::Info, "said", format_args!("{loud}"));
    assert_eq!(files.text().0, "2017-03-16 21:40:50 trc [main/1]: outer\n");
}

#[test]
fn a_panic_while_formatting_leaves_a_working_journal() {
    struct Bad;
    impl fmt::Display for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::resume_unwind(Box::new(()))
        }
    }
    let mut files = Files::new(LogFormat::Trc, LevelFilter::Info);
    let journal = files.journal.clone();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        journal.main(at(SEED, 0), Level::Info, "said", format_args!("half {Bad}"));
    }));
    assert!(result.is_err());
    say(&files.journal, Level::Info, "whole");
    assert_eq!(files.text().0, "2017-03-16 21:40:50 trc [main/1]: whole\n");
}

/// What comes out of these parts of a unit's output, each a read.
fn captured(format: LogFormat, parts: &[&[u8]]) -> Vec<u8> {
    let mut files = Files::new(format, LevelFilter::Off);
    let source = Source::new("async", "web", 15, Side::Out);
    let mut partial = Vec::new();
    for part in parts {
        files.journal.captured(&source, &mut partial, part);
        assert!(partial.len() <= MAX_LINE);
    }
    files.journal.captured_end(&source, &mut partial);
    files.bytes().0
}

#[test]
fn lines_of_units_in_text() {
    type Parts = &'static [&'static [u8]];
    const P: &str = "2017-03-16 21:40:50 trc [web/15]: ";
    let cases: [(Parts, Parts); 9] = [
        (&[], &[]),
        (&[b"one\n"], &[b"one"]),
        (&[b"one\ntwo\n"], &[b"one", b"two"]),
        (&[b"o", b"n", b"e\nt", b"wo", b"\n"], &[b"one", b"two"]),
        (&[b"one\ntwo"], &[b"one", b"two"]),
        (&[b"\n\n"], &[b"", b""]),
        (&[b"dos\r\n"], &[b"dos\r"]),
        (&[b"nul\0 \xff\xfe\n"], &[b"nul\0 \xff\xfe"]),
        (&[b"\x1b[31mred\n"], &[b"\x1b[31mred"]),
    ];
    for (parts, expected) in cases {
        let expected: Vec<u8> =
            expected.iter().flat_map(|line| [P.as_bytes(), line, b"\n"].concat()).collect();
        assert_eq!(captured(LogFormat::Trc, parts), expected, "{parts:?}");
    }
}

#[test]
fn lines_of_units_in_json() {
    let out = captured(LogFormat::Json, &[b"a \"b\" \xff\0", b"\nend"]);
    let objects: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = |message: &str| {
        json!({
            "time": "2017-03-16T21:40:50.123+01:00", "level": "info", "stage": "async",
            "pid": 15, "unit": "async.web", "event": "output", "stream": "stdout",
            "message": message,
        })
    };
    assert_eq!(objects, [expected("a \"b\" \u{fffd}\0"), expected("end")]);
}

#[test]
fn long_lines_are_cut_and_marked() {
    let xs = |count| vec![b'x'; count];
    let p = b"2017-03-16 21:40:50 trc [web/15]: ".to_vec();
    let cut = |piece: Vec<u8>| [p.clone(), piece, " […]\n".into()].concat();
    let end = |piece: Vec<u8>| [p.clone(), piece, b"\n".to_vec()].concat();
    let cases = [
        (MAX_LINE, vec![end(xs(MAX_LINE))]),
        (MAX_LINE + 1, vec![cut(xs(MAX_LINE)), end(xs(1))]),
        (2 * MAX_LINE, vec![cut(xs(MAX_LINE)), end(xs(MAX_LINE))]),
        (2 * MAX_LINE + 5, vec![cut(xs(MAX_LINE)), cut(xs(MAX_LINE)), end(xs(5))]),
    ];
    for (length, expected) in cases {
        let line = [xs(length), b"\n".to_vec()].concat();
        assert!(captured(LogFormat::Trc, &[&line]) == expected.concat(), "{length} at once");
        let parts: Vec<&[u8]> = line.chunks(1000).collect();
        assert!(captured(LogFormat::Trc, &parts) == expected.concat(), "{length} in parts");
    }
}

#[test]
fn a_cut_never_tears_a_character() {
    let line = "€".repeat(MAX_LINE / 3 + 100);
    let out = captured(LogFormat::Json, &[line.as_bytes(), b"\n"]);
    let objects: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let whole: String = objects.iter().map(|o| o["message"].as_str().unwrap()).collect();
    assert!(whole == line);
    assert_eq!(objects[0]["cut"], true);
    assert_eq!(objects.last().unwrap().get("cut"), None);
    // If there are no whole characters, the line is cut anyway.
    let garbage = [vec![0x80; MAX_LINE + 10], b"\n".to_vec()].concat();
    let out = captured(LogFormat::Trc, &[&garbage]);
    assert_eq!(memchr::memchr_iter(b'\n', &out).count(), 2);
}

#[test]
fn units_lines_are_never_mixed() {
    let mut files = Files::new(LogFormat::Trc, LevelFilter::Info);
    let sources =
        [Source::new("async", "a", 2, Side::Out), Source::new("async", "b", 3, Side::Out)];
    let mut partials = [Vec::new(), Vec::new()];
    let text = ["aaaaaaa\n".repeat(50), "bbbbb\n".repeat(70)];
    for at in (0..420).step_by(3) {
        for unit in 0..2 {
            let part = &text[unit].as_bytes()[at.min(text[unit].len())..];
            let part = &part[..part.len().min(3)];
            files.journal.captured(&sources[unit], &mut partials[unit], part);
        }
        say(&files.journal, Level::Info, "main");
    }
    let (out, _) = files.text();
    let count = |line: &str| out.lines().filter(|&got| got == line).count();
    assert_eq!(count("2017-03-16 21:40:50 trc [a/2]: aaaaaaa"), 50);
    assert_eq!(count("2017-03-16 21:40:50 trc [b/3]: bbbbb"), 70);
    assert_eq!(out.lines().count(), 50 + 70 + 140);
}

#[test]
fn a_name_with_a_newline_forges_no_line() {
    let mut files = Files::new(LogFormat::Trc, LevelFilter::Info);
    let source = Source::new("async", "x\n2017", 2, Side::Out);
    files.journal.captured(&source, &mut Vec::new(), b"y\n");
    assert_eq!(files.text().0, "2017-03-16 21:40:50 trc [x\u{fffd}2017/2]: y\n");
}

#[test]
fn a_full_disk_loses_counted_lines_and_the_notice_is_kept_for_later() {
    use std::os::fd::AsRawFd as _;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let err = tempfile::tempfile().unwrap();
    let streams = Streams::of(full.as_fd(), err.as_fd());
    assert!(full.as_raw_fd() > 2);
    let journal = Journal::new(LogFormat::Trc, LevelFilter::Info, 1, CLOCK, streams);
    say(&journal, Level::Info, "lost");
    say(&journal, Level::Info, "lost too");
    let dropped = journal.with(|writer| writer.streams.side(Side::Out).take_dropped()).unwrap();
    assert_eq!(dropped.unwrap().lines, 2);
    assert!(!journal.broken(Side::Out));
}
