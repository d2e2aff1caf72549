//! How fast units' lines get their prefix: `cargo bench --bench capture`.
//!
//! `plain copy` is what the same bytes cost without a prefix. Figures are of what
//! the unit wrote, not of the longer lines that come out.

#![allow(missing_docs, clippy::disallowed_methods)]

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use trc::bench::{CLOCK, Capture, Journal, LogFormat, Progress, READ, Side, Source, Streams, pipe};

/// What the unit writes in one go through the pipe.
const FLOOD: usize = 64 << 20;

fn journal(to: &File, format: LogFormat) -> Journal {
    let streams = Streams::of(to.as_fd(), to.as_fd());
    Journal::new(format, log::LevelFilter::Info, 1, CLOCK, streams)
}

fn null() -> File {
    File::options().write(true).open("/dev/null").unwrap()
}

fn lines(size: usize) -> Vec<u8> {
    let line = [[b'x'; 99].as_slice(), b"\n"].concat();
    line.into_iter().cycle().take(size).collect()
}

/// Lines of 100 bytes, formatted and written, without a pipe.
fn format(c: &mut Criterion) {
    let block = lines(READ);
    let source = Source::new("async", "opensmtpd", 15, Side::Out);
    let mut group = c.benchmark_group("prefix 100-byte lines, 128 KiB at once");
    group.throughput(Throughput::Bytes(READ as u64));
    for (name, format) in [("text", LogFormat::Trc), ("json", LogFormat::Json)] {
        let journal = journal(&null(), format);
        let mut partial = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| journal.captured(&source, &mut partial, black_box(&block)));
        });
    }
    group.finish();
}

/// From a unit that writes 64 KiB at once, through a pipe, to a file on `/dev/shm`.
fn through(c: &mut Criterion) {
    let mut group = c.benchmark_group("unit to file, 64 KiB at once");
    group.throughput(Throughput::Bytes(FLOOD as u64)).sample_size(10);
    group.bench_function("plain copy", |b| {
        b.iter(|| {
            let log = tempfile::tempfile_in("/dev/shm").unwrap();
            let ends = pipe(None).unwrap();
            let mut read = File::from(ends.read);
            let unit = flood(File::from(ends.write));
            let mut buffer = vec![0; READ];
            loop {
                wait(&read);
                match read.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => (&log).write_all(&buffer[..count]).unwrap(),
                    Err(_) => {}
                }
            }
            unit.join().unwrap();
        });
    });
    for (name, format) in [("text", LogFormat::Trc), ("json", LogFormat::Json)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let log = tempfile::tempfile_in("/dev/shm").unwrap();
                let journal = journal(&log, format);
                let ends = pipe(None).unwrap();
                let source = Source::new("async", "opensmtpd", 15, Side::Out);
                let mut capture = Capture::new(ends.read, source);
                let unit = flood(File::from(ends.write));
                loop {
                    wait(&capture.fd().unwrap());
                    if capture.readable(&journal, Instant::now()) == Progress::Ended {
                        break;
                    }
                }
                unit.join().unwrap();
            });
        });
    }
    group.finish();
}

/// As under a container engine: standard output is a pipe, and somebody reads it.
fn to_a_reader(c: &mut Criterion) {
    let mut group = c.benchmark_group("unit to pipe, 64 KiB at once");
    group.throughput(Throughput::Bytes(FLOOD as u64)).sample_size(10);
    group.bench_function("text", |b| {
        b.iter(|| {
            let (mut reader, log) = std::io::pipe().unwrap();
            let journal = journal(&File::from(std::os::fd::OwnedFd::from(log)), LogFormat::Trc);
            let engine = std::thread::spawn(move || {
                std::io::copy(&mut reader, &mut std::io::sink()).unwrap()
            });
            let ends = pipe(None).unwrap();
            let source = Source::new("async", "opensmtpd", 15, Side::Out);
            let mut capture = Capture::new(ends.read, source);
            let unit = flood(File::from(ends.write));
            let mut ended = false;
            while !ended || !journal.wants_write().is_empty() {
                let pending = journal.wants_write();
                let mut polled: Vec<_> =
                    pending.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLOUT)).collect();
                let reads = capture.wants_read(&journal, Instant::now());
                if reads {
                    polled.push(PollFd::new(capture.fd().unwrap(), PollFlags::POLLIN));
                }
                poll(&mut polled, PollTimeout::NONE).unwrap();
                journal.writable();
                if reads {
                    ended = capture.readable(&journal, Instant::now()) == Progress::Ended;
                }
            }
            unit.join().unwrap();
            drop(capture);
            drop(journal);
            engine.join().unwrap();
        });
    });
    group.finish();
}

fn wait(fd: &impl std::os::fd::AsFd) {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
}

fn flood(mut to: File) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let block = lines(64 * 1024);
        for _ in 0..FLOOD / block.len() {
            to.write_all(&block).unwrap();
        }
    })
}

criterion_group!(benches, format, through, to_a_reader);
criterion_main!(benches);
