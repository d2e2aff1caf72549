//! Units' pipes into real streams; time is virtual.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;

use log::LevelFilter;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::config::LogFormat;
use crate::engine::Purpose;
use crate::journal::{Clock, Local, Side};
use crate::run::stream::{BUFFER, HIGH_WATER, STUCK_AFTER, Streams};

const CLOCK: Clock = Clock {
    now: || std::time::UNIX_EPOCH,
    local: |_| Local { year: 2017, month: 3, day: 16, hour: 21, minute: 40, second: 50, offset: 0 },
};
const PREFIX: &str = "2017-03-16 21:40:50 trc [web/15]: ";

fn start() -> Instant {
    crate::run::os::clock::now()
}

fn journal(to: &impl AsFd) -> Journal {
    let streams = Streams::of(to.as_fd(), to.as_fd());
    Journal::new(LogFormat::Trc, LevelFilter::Info, 1, CLOCK, streams)
}

/// A capture and the unit's end of it.
fn capture() -> (Capture, File) {
    let crate::run::os::pipe::Pipe { read, write } = pipe(None).unwrap();
    (Capture::new(read, Source::new("async", "web", 15, Side::Out)), File::from(write))
}

fn content(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Reads to the end, which another test's fork may delay by a moment.
fn until_ended(capture: &mut Capture, journal: &Journal) {
    loop {
        let mut polled = [PollFd::new(capture.fd().unwrap(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::NONE).unwrap();
        if capture.readable(journal, start()) == Progress::Ended {
            return;
        }
    }
}

/// The log's pipe, as an engine gives it, and the reader's end.
fn log_pipe() -> (File, OwnedFd) {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    (File::from(read), write)
}

fn read_now(file: &mut File) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

#[test]
fn the_pipe_blocks_for_the_unit_only_and_is_its_own() {
    let owner = nix::unistd::getuid().is_root().then(|| (12345.into(), 54321.into()));
    let ends = pipe(owner).unwrap();
    let flags = |fd: &OwnedFd| OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).unwrap());
    assert!(flags(&ends.read).contains(OFlag::O_NONBLOCK));
    assert!(!flags(&ends.write).contains(OFlag::O_NONBLOCK));
    for fd in [&ends.read, &ends.write] {
        assert_eq!(fcntl(fd, FcntlArg::F_GETFD).unwrap(), libc::FD_CLOEXEC);
    }
    if owner.is_some() {
        let stat = nix::sys::stat::fstat(&ends.write).unwrap();
        assert_eq!((stat.st_uid, stat.st_gid), (12345, 54321));
    }
}

#[test]
fn lines_get_a_prefix_and_the_last_its_newline() {
    let mut log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    assert_eq!(capture.readable(&journal, start()), Progress::Drained, "nothing yet");
    unit.write_all(b"one\ntw").unwrap();
    assert_eq!(capture.readable(&journal, start()), Progress::Drained);
    assert_eq!(content(&mut log), format!("{PREFIX}one\n"));
    unit.write_all(b"o\nthree").unwrap();
    drop(unit);
    until_ended(&mut capture, &journal);
    assert_eq!(content(&mut log), format!("{PREFIX}one\n{PREFIX}two\n{PREFIX}three\n"));
    assert_eq!(capture.tail(), ["one", "two", "three"]);
    assert!(!capture.wants_read(&journal, start()));
    assert_eq!(capture.readable(&journal, start()), Progress::Ended);
}

#[test]
fn a_flood_is_read_a_bounded_amount_at_a_time() {
    let log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    let flood = b"0123456\n".repeat(PIPE_SIZE / 8);
    let size = usize::try_from(fcntl(&unit, FcntlArg::F_GETPIPE_SZ).unwrap()).unwrap();
    unit.write_all(&flood[..size]).unwrap();
    let mut reads = 0;
    while capture.readable(&journal, start()) == Progress::More {
        reads += 1;
    }
    assert_eq!(reads, size / READ);
}

#[test]
fn the_last_lines_of_a_unit_are_drained_though_its_children_hold_the_pipe() {
    let mut log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    let _grandchild = unit.try_clone().unwrap();
    unit.write_all(&b"0123456\n".repeat(8000)).unwrap();
    drop(unit);
    assert_eq!(capture.drain_available(&journal, start()), Progress::Drained);
    assert_eq!(content(&mut log).lines().count(), 8000);
    assert!(capture.wants_read(&journal, start()), "the grandchild may go on");
}

#[test]
fn a_slow_reader_loses_no_line() {
    let (mut reader, log) = log_pipe();
    let journal = journal(&log);
    let (mut capture, unit) = capture();
    fcntl(&unit, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut unit = Some(unit);
    let sent: Vec<u8> = (0..40_000).flat_map(|n| format!("{n:09}\n").into_bytes()).collect();
    let (mut at, mut got) = (0, Vec::new());
    let now = start();
    let mut held = 0;
    loop {
        if let Some(file) = &mut unit {
            match file.write(&sent[at..]) {
                Ok(count) => at += count,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            if at == sent.len() {
                unit = None;
            }
        }
        let mut ended = false;
        while capture.wants_read(&journal, now) {
            match capture.readable(&journal, now) {
                Progress::More => {}
                Progress::Held => unreachable!("wanted to read"),
                Progress::Drained => break,
                Progress::Ended => ended = true,
            }
        }
        held += usize::from(capture.readable(&journal, now) == Progress::Held);
        // The reader takes one page.
        let mut page = [0; 4096];
        if let Ok(count) = reader.read(&mut page) {
            got.extend_from_slice(&page[..count]);
        }
        journal.writable();
        if ended || capture.readable(&journal, now) == Progress::Ended {
            break;
        }
    }
    while !journal.wants_write().is_empty() {
        got.extend(read_now(&mut reader));
        journal.writable();
    }
    got.extend(read_now(&mut reader));
    let expected: Vec<u8> =
        (0..40_000).flat_map(|n| format!("{PREFIX}{n:09}\n").into_bytes()).collect();
    assert!(got == expected);
    assert!(held > 0, "the unit had to wait now and then");
}

#[test]
fn a_stuck_reader_hangs_no_unit_and_what_it_missed_is_said() {
    let (mut reader, log) = log_pipe();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    let t0 = start();
    let block = b"0123456789\n".repeat(900);
    let mut sent = 0;
    while capture.wants_read(&journal, t0) {
        unit.write_all(&block).unwrap();
        sent += 900;
        capture.readable(&journal, t0);
    }
    assert_eq!(capture.readable(&journal, t0), Progress::Held);
    assert_eq!(journal.next_deadline(t0), Some(t0 + STUCK_AFTER));

    let t1 = t0 + STUCK_AFTER;
    assert!(capture.wants_read(&journal, t1));
    assert_eq!(journal.next_deadline(t1), None);
    for _ in 0..200 {
        unit.write_all(&block).unwrap();
        sent += 900;
        assert_eq!(capture.drain_available(&journal, t1), Progress::Drained);
    }

    let mut got = Vec::new();
    while !journal.wants_write().is_empty() {
        got.extend(read_now(&mut reader));
        journal.writable();
    }
    got.extend(read_now(&mut reader));
    assert!(got.len() < 64 * 1024 + BUFFER + 1024);
    let text = String::from_utf8(got).unwrap();
    let line = format!("{PREFIX}0123456789");
    let kept = text.lines().filter(|&got| got == line).count();
    let lost = sent - kept;
    let notice = format!(
        "2017-03-16 21:40:50 trc [main/1]: {lost} lines ({} bytes) of output were dropped: \
         standard output was not read",
        lost * (line.len() + 1)
    );
    assert_eq!(text.lines().last(), Some(notice.as_str()));
    assert_eq!(text.lines().count(), kept + 1);
    unit.write_all(b"back\n").unwrap();
    capture.readable(&journal, t1);
    assert_eq!(read_now(&mut reader), format!("{PREFIX}back\n").as_bytes());
}

#[test]
fn short_lines_do_not_outgrow_the_buffer() {
    let (_reader, log) = log_pipe();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    let now = start();
    unit.write_all(&b"\n".repeat(60_000)).unwrap();
    while capture.wants_read(&journal, now) && capture.readable(&journal, now) != Progress::Drained
    {
    }
    // In the worst case, every byte becomes a line of 35 bytes.
    let most = HIGH_WATER + READ_AHEAD * (PREFIX.len() + 1);
    assert!(journal.queued(Side::Out) <= most);
}

#[test]
fn a_file_as_the_log_never_holds_a_unit_back() {
    let log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    assert!(journal.is_file(Side::Out));
    assert!(!journal.holds_back(Side::Out, start()));
    assert_eq!(journal.next_deadline(start()), None);
}

#[test]
fn many_single_lines_are_gathered_and_one_is_not_delayed() {
    let log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    let mut now = start();
    let mut reads = 0;
    while capture.wants_read(&journal, now) {
        unit.write_all(b"line\n").unwrap();
        capture.readable(&journal, now);
        now += Duration::from_micros(50);
        reads += 1;
        assert!(reads < 100);
    }
    assert!(reads > 10, "a burst is read as it comes");
    let until = capture.next_deadline(now).unwrap();
    assert!(until - now <= REST);
    assert!(capture.wants_read(&journal, until));
    assert_eq!(capture.next_deadline(until), None, "nothing wakes trc when idle");
    // A line after a pause is read at once, and so is the next one.
    now = until + Duration::from_secs(1);
    unit.write_all(b"line\n").unwrap();
    capture.readable(&journal, now);
    assert!(capture.wants_read(&journal, now));
}

#[test]
fn the_end_of_the_run_takes_what_is_there_and_no_longer_than_it_may() {
    let (reader, log) = log_pipe();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    for _ in 0..20 {
        unit.write_all(&b"0123456789\n".repeat(900)).unwrap();
        capture.readable(&journal, start());
    }
    let deadline = start();
    capture.finish(&journal, deadline);
    drop(reader);
    journal.flush_at_exit(deadline);
    assert!(journal.broken(Side::Out) && journal.wants_write().is_empty());
}

#[test]
fn an_unfinished_line_is_completed_at_the_end_of_the_run() {
    let mut log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    unit.write_all(b"half").unwrap();
    capture.finish(&journal, start());
    assert_eq!(content(&mut log), format!("{PREFIX}half\n"));
    assert_eq!(capture.readable(&journal, start()), Progress::Ended);
}

#[test]
fn idle_captures_hold_no_memory() {
    let log = tempfile::tempfile().unwrap();
    let journal = journal(&log);
    let (mut capture, mut unit) = capture();
    unit.write_all(&[vec![b'x'; 50_000], b"\n".to_vec()].concat()).unwrap();
    capture.drain_available(&journal, start());
    assert_eq!(capture.partial.capacity(), 0);
    assert!(capture.fd().unwrap().as_raw_fd() > 2);
}

#[test]
fn a_unit_becomes_ready_once_and_is_well_each_time_it_says_so() {
    let (mut capture, mut unit) = capture();
    let (_reader, write) = log_pipe();
    let journal = journal(&write);
    let (ready, health) = (Sought::Probe(Purpose::Ready), Sought::Probe(Purpose::Health));
    let said = Sought::Said(3);
    let matcher = |what| Matcher::new(what, crate::regex::compile("^here$").unwrap());
    capture.look_for([ready, health, said].map(matcher).into());
    for expected in [vec![ready, health, said], vec![health, said]] {
        unit.write_all(b"here\n").unwrap();
        capture.readable(&journal, start());
        let found = capture.take_matched();
        assert_eq!(found.iter().map(|found| found.what).collect::<Vec<_>>(), expected);
        assert!(found.iter().all(|found| found.line == "here"));
    }
}

#[test]
fn a_line_to_a_file_is_cut_only_where_it_is_longer_than_what_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let wanted = crate::config::OutputFile { path: path.clone(), max_size: None, keep: None };
    for (parts, expected) in [
        // A line that comes in parts and just fits is not cut.
        (vec![LONGEST - 3, 3], vec![LONGEST]),
        (vec![LONGEST - 3, 4], vec![LONGEST, 1]),
        (vec![LONGEST, LONGEST, 5], vec![LONGEST, LONGEST, 5]),
        (vec![7], vec![7]),
    ] {
        _ = std::fs::remove_file(&path);
        let file = LogFile::open(&wanted).unwrap();
        let mut partial = Vec::new();
        for count in &parts {
            append(&file, &mut partial, &vec![b'x'; *count]);
            assert!(partial.len() <= LONGEST);
        }
        append(&file, &mut partial, b"\nnext\n");
        let text = std::fs::read_to_string(&path).unwrap();
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [expected, vec![4]].concat(), "{parts:?}");
    }
}
