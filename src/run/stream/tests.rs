//! Real pipes, sockets and terminals, with virtual time.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};

use super::way::Way;
use super::*;
use crate::run::os::pipe::Pipe;

/// A pipe as a container engine gives it: blocking at trc's end. The reader's end
/// is the test's own, and non-blocking.
fn blocking_pipe() -> (OwnedFd, OwnedFd) {
    let Pipe { read, write } = Pipe::new().unwrap();
    (read, write)
}

/// Everything that can be read now.
fn read_now(fd: &impl AsFd) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match nix::unistd::read(fd, &mut buffer) {
            Ok(0) | Err(Errno::EAGAIN | Errno::EIO) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// Reads until the end of file, waiting for it.
fn read_to_end(fd: OwnedFd) -> Vec<u8> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut File::from(fd), &mut all).unwrap();
    all
}

fn is_nonblocking(fd: &impl AsFd) -> bool {
    OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).unwrap()).contains(OFlag::O_NONBLOCK)
}

/// `count` numbered lines of 100 bytes.
fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("{n:099}\n").into_bytes()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the start of virtual time")]
fn start() -> Instant {
    Instant::now()
}

/// Closes the reader's end, and waits until that is so for everybody: a child that another test has
/// forked may have a copy for a moment.
fn close(reader: impl AsFd, writer: &impl AsFd) {
    drop(reader);
    let mut polled = [PollFd::new(writer.as_fd(), PollFlags::empty())];
    assert_eq!(poll(&mut polled, PollTimeout::from(60_000_u16)), Ok(1), "the reader is gone");
}

/// Fills the stream's pipe until something is queued.
fn fill(stream: &mut Stream) -> Vec<u8> {
    let mut sent = Vec::new();
    while stream.queued() == 0 {
        let block = lines(100);
        assert!(stream.push(&block, Kind::Captured));
        sent.extend(block);
    }
    sent
}

#[test]
fn the_inherited_description_of_a_pipe_stays_blocking() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    let sent = fill(&mut stream);
    assert!(!is_nonblocking(&write));
    assert!(stream.wants_write().is_some());
    let mut got = read_now(&read);
    while stream.queued() > 0 {
        stream.writable();
        got.extend(read_now(&read));
    }
    assert!(got == sent, "every byte once, in order");
    assert!(stream.wants_write().is_none());
}

#[test]
fn the_inherited_description_of_a_terminal_stays_blocking() {
    let pty = nix::pty::openpty(None, None).unwrap();
    fcntl(&pty.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut stream = Stream::open(pty.slave.as_fd());
    assert!(stream.push(b"hello\n", Kind::Own));
    assert_eq!(read_now(&pty.master), b"hello\r\n");
    fill(&mut stream);
    assert!(!is_nonblocking(&pty.slave));
}

#[test]
fn a_hung_up_terminal_is_broken() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut stream = Stream::open(pty.slave.as_fd());
    close(pty.master, &pty.slave);
    assert!(!stream.push(b"hello\n", Kind::Own));
    assert!(stream.broken());
}

#[test]
fn the_other_end_of_a_terminal_is_not_opened_again() {
    // Opening /dev/ptmx would create another terminal.
    let pty = nix::pty::openpty(None, None).unwrap();
    assert!(matches!(Way::to(pty.master.as_fd()), Way::NeedsChild(_)));
}

#[test]
fn a_socket_stays_blocking_and_is_not_waited_for() {
    let (reader, writer) = UnixStream::pair().unwrap();
    reader.set_nonblocking(true).unwrap();
    let mut stream = Stream::open(writer.as_fd());
    let sent = fill(&mut stream);
    assert!(!is_nonblocking(&writer));
    let mut got = read_now(&reader);
    while stream.queued() > 0 {
        stream.writable();
        got.extend(read_now(&reader));
    }
    assert!(got == sent);
    close(reader, &writer);
    assert!(!stream.push(b"x\n", Kind::Own));
    assert!(stream.broken());
}

#[test]
fn without_reopening_each_write_says_that_it_must_not_wait() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::over(Way::NoWait(Arc::new(write)));
    let sent = fill(&mut stream);
    // On a kernel older than 6.4 a writer child has taken over.
    if stream.writer_pid().is_none() {
        let mut got = read_now(&read);
        stream.writable();
        got.extend(read_now(&read));
        assert!(got == sent);
    }
}

#[test]
fn the_last_resort_is_a_child_that_writes_all_and_ends() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::over(Way::NeedsChild(Arc::new(write)));
    assert_eq!(stream.writer_pid(), None, "none before there is something to write");
    let sent = lines(100);
    assert!(stream.push(&sent, Kind::Captured));
    let pid = nix::unistd::Pid::from_raw(stream.writer_pid().unwrap());
    let deadline = start() + Duration::from_mins(1);
    stream.finish(deadline);
    assert!(now() < deadline, "its end was seen");
    let gone = Err(Errno::ECHILD);
    assert_eq!(waitpid(pid, None), gone, "it was waited for");
    assert!(read_to_end(read) == sent);
}

#[test]
fn a_stuck_child_does_not_stop_trc() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::over(Way::NeedsChild(Arc::new(write)));
    fill(&mut stream);
    stream.finish(start());
    let pid = nix::unistd::Pid::from_raw(stream.writer_pid().unwrap());
    // It was killed. It was waited for, too, unless it took long to die: on a busy machine, or while
    // the child of another test has a copy of its socket.
    let end = waitpid(pid, None);
    let killed = Ok(WaitStatus::Signaled(pid, Signal::SIGKILL, false));
    assert!(end == Err(Errno::ECHILD) || end == killed, "{end:?}");
    drop(read);
}

#[test]
fn a_file_takes_everything_at_once() {
    let mut file = tempfile::tempfile().unwrap();
    let mut stream = Stream::open(file.as_fd());
    assert!(stream.is_file());
    let sent = lines(50_000);
    assert!(stream.push(&sent, Kind::Captured));
    assert_eq!(stream.queued(), 0);
    let mut got = Vec::new();
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_end(&mut file, &mut got).unwrap();
    assert!(got == sent);
}

#[test]
fn a_closed_descriptor_takes_everything_and_says_nothing() {
    let mut stream = Stream::over(Way::Nowhere);
    assert!(stream.push(b"x\n", Kind::Own));
    assert_eq!((stream.queued(), stream.take_dropped()), (0, None));
    assert!(!stream.broken());
}

#[test]
fn a_full_disk_drops_and_counts_until_there_is_room() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut stream = Stream::open(full.as_fd());
    assert!(!stream.push(b"one\n", Kind::Own));
    assert!(!stream.push(b"two\nthree\n", Kind::Captured));
    assert_eq!(stream.queued(), 0, "nothing waits for a disk");
    let dropped = stream.take_dropped().unwrap();
    assert_eq!(dropped, Dropped { lines: 3, bytes: 14, errno: Some(Errno::ENOSPC) });
    assert!(!stream.push(b"3 lines were dropped\n", Kind::Notice));
    stream.restore(dropped);
    assert_eq!(stream.take_dropped(), Some(dropped), "the notice itself is not counted");
}

#[test]
fn a_reader_that_is_gone_is_not_written_to_again() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    fill(&mut stream);
    close(read, &write);
    assert!(!stream.broken());
    stream.writable();
    assert!(stream.broken());
    assert_eq!((stream.queued(), stream.take_dropped()), (0, None));
    stream.push(b"x\n", Kind::Own);
    assert_eq!(stream.queued(), 0);
}

#[test]
fn a_line_torn_by_an_error_is_ended_before_the_next() {
    let (read, write) = blocking_pipe();
    let way = Way::Pipe(Arc::new(write));
    let fd = way.fd().unwrap().clone();
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut stream = Stream::over(way);
    let long = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
    assert!(stream.push(&long, Kind::Own), "part of it is written, the rest queued");
    let become_ = |file: &File| {
        // SAFETY: replaces what the test's own descriptor stands for.
        assert_ne!(unsafe { libc::dup2(file.as_raw_fd(), fd.as_raw_fd()) }, -1);
    };
    become_(&OpenOptions::new().write(true).open("/dev/full").unwrap());
    stream.writable();
    let file = tempfile::NamedTempFile::new().unwrap();
    become_(file.as_file());
    let dropped = stream.take_dropped().unwrap();
    assert_eq!((dropped.lines, dropped.errno), (1, Some(Errno::ENOSPC)));
    assert!(stream.push(b"next\n", Kind::Own));
    assert_eq!(std::fs::read(file.path()).unwrap(), b"\nnext\n");
    assert!(!read_now(&read).ends_with(b"\n"));
}

#[test]
fn units_wait_for_a_slow_reader_and_not_for_a_stuck_one() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    let t0 = start();
    fill(&mut stream);
    assert!(!stream.holds_back(t0), "a little may be queued");
    stream.push(&lines(1000), Kind::Captured);
    assert!(stream.queued() > HIGH_WATER);
    assert!(stream.holds_back(t0));
    assert_eq!(stream.next_deadline(t0), Some(t0 + STUCK_AFTER));

    // The reader takes a little, so that the pipe still has no room for a page.
    assert_eq!(nix::unistd::read(&read, &mut [0; 10]), Ok(10));
    let t1 = t0 + STUCK_AFTER;
    assert!(stream.holds_back(t1), "it reads");
    assert_eq!(stream.next_deadline(t1), Some(t1 + STUCK_AFTER));

    // Then nothing.
    let t2 = t1 + STUCK_AFTER;
    assert!(!stream.holds_back(t2), "it is stuck");
    assert_eq!(stream.next_deadline(t2), None, "and nothing wakes trc for it");

    // The reader reads again.
    read_now(&read);
    stream.writable();
    assert!(stream.holds_back(t2) || stream.queued() <= HIGH_WATER);
}

#[test]
fn a_stuck_reader_costs_whole_lines_and_a_bounded_amount() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    let t0 = start();
    let mut sent = fill(&mut stream);
    stream.holds_back(t0);
    stream.holds_back(t0 + STUCK_AFTER);
    let mut total = sent.len();
    for _ in 0..100 {
        let block = lines(164);
        total += block.len();
        sent.extend_from_slice(&block);
        stream.push(&block, Kind::Captured);
        assert!(stream.queued() <= BUFFER);
    }
    assert!(!stream.push(&[vec![b'x'; RESERVE * 2], b"\n".to_vec()].concat(), Kind::Own));
    assert_eq!(stream.take_dropped(), None, "not said while nobody reads");

    let mut got = read_now(&read);
    while stream.queued() > 0 {
        stream.writable();
        got.extend(read_now(&read));
    }
    assert!(sent.starts_with(&got) && got.ends_with(b"\n"));
    let dropped = stream.take_dropped().unwrap();
    let own = (RESERVE * 2 + 1) as u64;
    assert_eq!(dropped.bytes - own, (total - got.len()) as u64);
    assert_eq!(dropped.lines - 1, (total - got.len()) as u64 / 100);
    assert_eq!(dropped.errno, None);
}

#[test]
fn own_lines_have_room_when_units_filled_the_buffer() {
    let (_read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    fill(&mut stream);
    stream.push(&lines(BUFFER / 100 - 700), Kind::Captured);
    assert!(stream.push(b"Exited (exitcode=0)\n", Kind::Own));
}

#[test]
fn lines_are_never_torn_by_another_writer_of_the_pipe() {
    let (read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    let mut unit = File::from(write.try_clone().unwrap());
    let mut got = Vec::new();
    fill(&mut stream);
    while stream.queued() > 0 {
        // One page is read, and a unit that inherited the pipe takes some of that room.
        let mut page = [0; 4096];
        let count = nix::unistd::read(&read, &mut page).unwrap();
        got.extend_from_slice(&page[..count]);
        unit.write_all(b"unit\n").unwrap();
        stream.writable();
    }
    got.extend(read_now(&read));
    for line in got.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line == b"unit" || line.len() == 99, "{:?}", String::from_utf8_lossy(line));
    }
}

#[test]
fn one_pipe_on_both_descriptors_is_one_queue() {
    let (read, write) = blocking_pipe();
    let again = write.try_clone().unwrap();
    let mut streams = Streams::of(write.as_fd(), again.as_fd());
    let mut expected = fill(streams.side(Side::Out));
    streams.side(Side::Err).push(b"error\n", Kind::Own);
    streams.side(Side::Out).push(b"info\n", Kind::Own);
    expected.extend(b"error\ninfo\n");
    assert_eq!(streams.wants_write().len(), 1);
    let mut got = read_now(&read);
    while !streams.wants_write().is_empty() {
        streams.writable();
        got.extend(read_now(&read));
    }
    assert!(got == expected);
}

#[test]
fn two_pipes_are_two_queues() {
    let ((_out_read, out), (err_read, err)) = (blocking_pipe(), blocking_pipe());
    let mut streams = Streams::of(out.as_fd(), err.as_fd());
    fill(streams.side(Side::Out));
    streams.side(Side::Err).push(b"error\n", Kind::Own);
    assert_eq!(read_now(&err_read), b"error\n", "a stuck stdout does not delay stderr");
}

#[test]
fn waiting_for_room_ends_in_time() {
    let (_read, write) = blocking_pipe();
    let mut stream = Stream::open(write.as_fd());
    fill(&mut stream);
    let pending: Vec<_> = stream.wants_write().into_iter().collect();
    assert!(!wait_writable(&pending, start()));
    assert!(!wait_writable(&[], start() + Duration::from_mins(1)), "nothing to wait for");
}

#[test]
fn a_descriptor_that_is_not_open_is_nowhere() {
    let (read, _write) = blocking_pipe();
    let number = read.as_raw_fd();
    drop(read);
    // SAFETY: a number above all that the process may have open; only looked at.
    let closed = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number + 500_000) });
    assert!(matches!(Way::to(closed.as_fd()), Way::Nowhere));
}
