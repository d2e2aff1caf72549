//! Runs trc as users do, reads its output, and leaves nothing behind.
//!
//! Tests wait for lines and exits, never for time. Everything that a test starts carries a mark in
//! its environment. At the end, no process with that mark may be left.
//!
//! CONTRIBUTING.md lists the environment variables that change these tests.

#![allow(clippy::disallowed_methods, unsafe_code)]

pub(crate) mod alone;
pub(crate) mod browser;
pub(crate) mod recorded;
pub(crate) mod typist;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode as FileMode;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use regex::Regex;
use tempfile::TempDir;

use alone::Together;
pub(crate) use alone::alone;
use recorded::Recorded;

pub(crate) const HUP: i32 = 1;
pub(crate) const INT: i32 = 2;
pub(crate) const KILL: i32 = 9;
pub(crate) const USR1: i32 = 10;
pub(crate) const USR2: i32 = 12;
pub(crate) const TERM: i32 = 15;

/// The `PATH` of a container. The tester's own may have directories that others cannot read.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command for scripts that prints `ready` and then blocks until a signal terminates it.
pub(crate) const NEVER: &str = r#"exec 9<>"$W/never"; echo ready; read x <&9"#;

/// The same for bash scripts with traps. bash runs a trap only after the `read` if the signal comes
/// just before it, so the reads are short.
pub(crate) const UNTIL_TRAP: &str =
    r#"exec 9<>"$W/never"; echo ready; until read -t .1 x <&9; do :; done"#;

/// The start of each of trc's own log lines.
pub(crate) const STAMP: &str = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d trc \[";

/// The time that anything may take before the test fails. Nothing waits this long if all is well.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(number_from("TRC_TEST_PATIENCE", 30) as u64)
}

/// Returns a number of rounds or processes, which the environment may change.
pub(crate) fn number_from(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Returns whether tests that need root can run.
pub(crate) fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Copies a program. This process does not write the copy itself: a child that another test starts
/// meanwhile would have it open for writing, and nobody could execute it (`ETXTBSY`).
#[track_caller]
pub(crate) fn copy(program: impl AsRef<Path>, to: impl AsRef<Path>) {
    let copied = Command::new("cp").arg(program.as_ref()).arg(to.as_ref()).status();
    assert!(copied.unwrap().success(), "cannot copy {}", program.as_ref().display());
}

/// Returns the trc to test.
pub(crate) fn binary() -> OsString {
    std::env::var_os("TRC_TEST_BIN").unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_trc")))
}

/// The way in which trc is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// As a plain child, which makes it a subreaper.
    Subreaper,
    /// As PID 1 of its own namespace.
    Pid1,
}

/// Both ways.
pub(crate) const MODES: [Mode; 2] = [Mode::Subreaper, Mode::Pid1];

/// Returns the words before a command that make it PID 1 of its own namespace.
pub(crate) fn pid1_prefix() -> Vec<&'static str> {
    let mut words = vec!["unshare"];
    if !root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words.extend(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    words
}

/// The destination of a standard stream.
#[derive(Default)]
enum Stream {
    /// The test reads it. Standard input is empty.
    #[default]
    Captured,
    /// A pipe that the test writes.
    Piped,
    /// A descriptor that the test created.
    Given(OwnedFd),
}

/// A command line of trc, with its files and environment.
pub(crate) struct Trc {
    dir: TempDir,
    program: OsString,
    mode: Mode,
    wrap: Vec<OsString>,
    work_dir: bool,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    streams: [Stream; 3],
    survivors: bool,
    unrecorded: bool,
    mark: String,
    together: Together,
}

impl Trc {
    /// Creates a trc with an empty working directory, a minimal environment and no input.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let dir = tempfile::Builder::new().prefix("trc-test-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let this = Self {
            program: binary(),
            mode: Mode::Subreaper,
            wrap: Vec::new(),
            work_dir: true,
            args: Vec::new(),
            env: Vec::new(),
            streams: Default::default(),
            survivors: false,
            unrecorded: false,
            mark,
            together: Together::begin(),
            dir,
        };
        let dir = this.dir().as_os_str().to_owned();
        // Runs at the same time must not meet at the usual place.
        let this = this.env("TRC_CONTROL__SOCKET", "false");
        this.env("PATH", PATH).env("W", dir).fifo("never").fifo("go")
    }

    /// A control socket below the directory.
    pub(crate) fn control(self) -> Self {
        let path = self.path("trc.sock");
        self.env("TRC_CONTROL__SOCKET", path)
    }

    /// Adds arguments, as they would be typed.
    pub(crate) fn with(args: &[&str]) -> Self {
        Self::new().args(args)
    }

    /// A `trc.toml`.
    pub(crate) fn toml(text: &str) -> Self {
        Self::new().file("trc.toml", text)
    }

    pub(crate) fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn pid1(self) -> Self {
        self.mode(Mode::Pid1)
    }

    /// Runs another program in trc's place, such as a shell that runs trc, or another init.
    pub(crate) fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = program.into();
        self.work_dir = false;
        self
    }

    /// Does not record the run in any case: its scripts write lines as trc does, some of its lines do not
    /// begin on their own, or it has no file to write to.
    pub(crate) fn unrecorded(mut self) -> Self {
        self.unrecorded = true;
        self
    }

    /// Adds words before trc, such as `prlimit --nofile=10`. The program must execute the rest.
    pub(crate) fn wrap(mut self, words: &[&str]) -> Self {
        self.wrap.extend(words.iter().map(OsString::from));
        self
    }

    /// Runs shell text before trc, in the process that becomes trc.
    pub(crate) fn before(self, text: &str) -> Self {
        self.wrap(&["sh", "-c", &format!("{text}\nexec \"$@\""), "sh"])
    }

    /// Leaves out `-w DIR`.
    pub(crate) fn no_work_dir(mut self) -> Self {
        self.work_dir = false;
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: &[S]) -> Self {
        self.args.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(n, _)| n != name.as_ref());
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Creates a file below the directory, and the directories above the file.
    pub(crate) fn file(self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).unwrap();
        fs::write(&path, text).unwrap();
        self
    }

    /// Creates an executable file below the directory.
    pub(crate) fn executable(self, name: &str, text: &str) -> Self {
        let this = self.file(name, text);
        fs::set_permissions(this.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        this
    }

    /// Creates a FIFO below the directory, on which children block.
    pub(crate) fn fifo(self, name: &str) -> Self {
        nix::unistd::mkfifo(&self.path(name), FileMode::from_bits_truncate(0o666)).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o666)).unwrap();
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn stdin_piped(mut self) -> Self {
        self.streams[0] = Stream::Piped;
        self
    }

    pub(crate) fn stdout_to(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.streams[1] = Stream::Given(fd.into());
        self
    }

    pub(crate) fn stderr_to(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.streams[2] = Stream::Given(fd.into());
        self
    }

    /// Uses one terminal for the standard streams that are not anything else yet.
    pub(crate) fn terminal(mut self, fd: &OwnedFd) -> Self {
        for stream in &mut self.streams {
            if matches!(stream, Stream::Captured) {
                *stream = Stream::Given(fd.try_clone().unwrap());
            }
        }
        self
    }

    /// Allows processes to outlive trc, for example if a shell runs in its place.
    pub(crate) fn survivors_allowed(mut self) -> Self {
        self.survivors = true;
        self
    }

    pub(crate) fn spawn(mut self) -> Running {
        let mut words: Vec<OsString> = Vec::new();
        if self.mode == Mode::Pid1 {
            words.extend(pid1_prefix().into_iter().map(OsString::from));
        }
        words.append(&mut self.wrap);
        words.push(self.program.clone());
        if self.work_dir {
            words.push("-w".into());
            words.push(self.dir().into());
        }
        words.append(&mut self.args);

        take_no_signals_over();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().envs(self.env.iter().cloned());
        command.env("TEST_MARK", &self.mark).current_dir(self.dir());
        let described = self.describe(&words);
        let own = self.env.iter().any(|(name, _)| name == "TRC_RECORD");
        let no = own || self.unrecorded || self.program != binary();
        let record = Recorded::new().filter(|_| !no);
        if let Some(record) = &record {
            command.env("TRC_RECORD", record.path());
        }
        let captured = self.streams[1..].iter().all(|stream| matches!(stream, Stream::Captured));

        let mut readers: Vec<(usize, File)> = Vec::new();
        let [stdin, stdout, stderr] = std::mem::take(&mut self.streams);
        let mut input = None;
        match stdin {
            Stream::Captured => drop(command.stdin(Stdio::null())),
            Stream::Given(fd) => drop(command.stdin(fd)),
            Stream::Piped => {
                let (read, write) = io::pipe().unwrap();
                command.stdin(read);
                input = Some(File::from(OwnedFd::from(write)));
            }
        }
        let (read, write) = io::pipe().unwrap();
        match stdout {
            Stream::Given(fd) => drop(command.stdout(fd)),
            _ => drop(command.stdout(write)),
        }
        readers.push((0, OwnedFd::from(read).into()));
        if let Stream::Given(fd) = stderr {
            command.stderr(fd);
        } else {
            let (read, write) = io::pipe().unwrap();
            command.stderr(write);
            readers.push((1, OwnedFd::from(read).into()));
        }

        let child = command.spawn().unwrap_or_else(|why| panic!("{described}\n{why}"));
        drop(command); // with its ends of the pipes
        let pid = child.id().cast_signed();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                child,
                ended: None,
                texts: [Vec::new(), Vec::new()],
                open: readers.len(),
            }),
            changed: Condvar::new(),
        });
        for (stream, file) in readers {
            let shared = shared.clone();
            thread::spawn(move || shared.read(stream, file));
        }
        let waiter = shared.clone();
        thread::spawn(move || waiter.wait(pid));
        Running {
            shared,
            child: pid,
            mode: self.mode,
            described,
            input,
            mark: self.mark.clone(),
            survivors: self.survivors,
            dir: Arc::new(self.dir),
            record,
            captured,
            _together: self.together,
        }
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Outcome {
        self.spawn().finish()
    }

    /// Runs trc until it has written a text, sends it a signal, and waits for its exit.
    #[track_caller]
    pub(crate) fn signalled(self, said: &str, number: i32) -> Outcome {
        let running = self.spawn();
        running.wait_for(said).signal(number);
        running.finish()
    }

    /// Returns the command as it could be typed, and its files.
    fn describe(&self, words: &[OsString]) -> String {
        let mut out = String::from("$");
        for (name, value) in &self.env {
            if name != "PATH" {
                let value = shell_words::quote(&value.to_string_lossy()).into_owned();
                write!(out, " {}={value}", name.to_string_lossy()).unwrap();
            }
        }
        for word in words {
            write!(out, " {}", shell_words::quote(&word.to_string_lossy())).unwrap();
        }
        out.push('\n');
        let mut files = Vec::new();
        list(self.dir(), &mut files);
        for file in files {
            let name = file.strip_prefix(self.dir()).unwrap().display();
            let text = fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text[..text.len().min(4000)]).into_owned();
            writeln!(out, "--- {name}\n{}", text.trim_end()).unwrap();
        }
        out
    }
}

/// Returns the regular files below a directory.
fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let Ok(kind) = fs::symlink_metadata(&path) else { continue };
        if kind.is_dir() {
            list(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    child: Child,
    ended: Option<ExitStatus>,
    texts: [Vec<u8>; 2],
    /// The number of streams that have not ended.
    open: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read(&self, stream: usize, mut file: File) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    self.lock().texts[stream].extend_from_slice(&buffer[..n]);
                    self.changed.notify_all();
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break, // a terminal whose other side is closed: EIO
            }
        }
        self.lock().open -= 1;
        self.changed.notify_all();
    }

    /// Reaps while it holds the lock, so that nobody signals a pid that no longer exists.
    fn wait(&self, pid: i32) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(Pid::from_raw(pid)), flags) == Err(nix::errno::Errno::EINTR) {}
        let mut state = self.lock();
        let ended = state.child.wait().expect("the child's status");
        state.ended = Some(ended);
        drop(state);
        self.changed.notify_all();
    }
}

/// trc at work.
pub(crate) struct Running {
    shared: Arc<Shared>,
    child: i32,
    mode: Mode,
    described: String,
    input: Option<File>,
    mark: String,
    survivors: bool,
    dir: Arc<TempDir>,
    record: Option<Recorded>,
    /// Whether both of trc's streams are read here.
    captured: bool,
    _together: Together,
}

impl Running {
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Reads the other side of a terminal as if it were standard output.
    pub(crate) fn read_terminal(&self, master: &OwnedFd) {
        self.shared.lock().open += 1;
        let (shared, file) = (self.shared.clone(), File::from(master.try_clone().unwrap()));
        thread::spawn(move || shared.read(0, file));
    }

    /// Waits until a text appears on either stream. The commands that log lines show do not count.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> &Self {
        self.wait_for_times(text, 1)
    }

    /// Waits until a text has appeared this many times, on both streams together.
    #[track_caller]
    pub(crate) fn wait_for_times(&self, text: &str, times: usize) -> &Self {
        let done = self.wait_while(|state| {
            times_said(state, text) < times && !(state.ended.is_some() && state.open == 0)
        });
        let said = times_said(&self.shared.lock(), text);
        if said < times {
            let why = if done { "it ended" } else { "time ran out" };
            self.fail(&format!("waited for `{text}` × {times}, seen × {said}, when {why}"));
        }
        self
    }

    /// Waits until a text appears on either stream, but no longer than this, and not after trc has
    /// exited. Returns whether it appeared.
    pub(crate) fn says(&self, text: &str, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        self.wait_while_until(until, |state| times_said(state, text) == 0 && state.ended.is_none());
        times_said(&self.shared.lock(), text) > 0
    }

    /// Waits for the exit of trc, but no longer than this. Returns whether it has exited.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        self.wait_while_until(Instant::now() + limit, |state| state.ended.is_none())
    }

    /// Waits until a condition outside trc holds.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) -> &Self {
        let end = Instant::now() + patience();
        while !holds() {
            if Instant::now() > end {
                self.fail(&format!("waited until {what}"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        self
    }

    /// Waits until a file below the directory exists and has a whole line. Returns that line.
    #[track_caller]
    pub(crate) fn wait_for_file(&self, name: &str) -> String {
        let path = self.path(name);
        let read = || fs::read_to_string(&path).unwrap_or_default();
        self.wait_until(&format!("{name} has a line"), || read().ends_with('\n'));
        read().trim_end().to_owned()
    }

    /// Waits until a condition holds. Returns false if that takes too long. A process that trc has
    /// left behind may still write after trc has exited, but not for long.
    fn wait_while(&self, condition: impl FnMut(&State) -> bool) -> bool {
        self.wait_while_until(Instant::now() + patience(), condition)
    }

    fn wait_while_until(
        &self,
        mut end: Instant,
        mut condition: impl FnMut(&State) -> bool,
    ) -> bool {
        let mut state = self.shared.lock();
        while condition(&state) {
            if state.ended.is_some() {
                end = end.min(Instant::now() + Duration::from_secs(3));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }

    /// Returns trc's own pid, as this process sees it.
    #[track_caller]
    pub(crate) fn pid(&self) -> i32 {
        if self.mode == Mode::Subreaper {
            return self.child;
        }
        let mut pid = None;
        self.wait_until("unshare has a child", || {
            pid = children_of(self.child).first().copied();
            pid.is_some()
        });
        pid.unwrap()
    }

    #[track_caller]
    pub(crate) fn signal(&self, number: i32) -> &Self {
        let pid = self.pid();
        let state = self.shared.lock();
        if state.ended.is_none() {
            kill(pid, number);
        }
        self
    }

    /// Sends a signal, unless trc has exited.
    pub(crate) fn signal_if_there(&self, number: i32) {
        let state = self.shared.lock();
        let pid = match self.mode {
            Mode::Subreaper => Some(self.child),
            Mode::Pid1 => children_of(self.child).first().copied(),
        };
        if let Some(pid) = pid.filter(|_| state.ended.is_none()) {
            kill(pid, number);
        }
    }

    pub(crate) fn ended(&self) -> bool {
        self.shared.lock().ended.is_some()
    }

    /// Opens a gate: the process that reads `$W/NAME` continues. Never blocks.
    #[track_caller]
    pub(crate) fn open_gate(&self, name: &str) -> &Self {
        let path = self.path(name);
        let mut opened = None;
        // It fails with ENXIO until there is a reader.
        self.wait_until(&format!("somebody reads {name}"), || {
            let flags = nix::libc::O_NONBLOCK;
            opened = OpenOptions::new().write(true).custom_flags(flags).open(&path).ok();
            opened.is_some()
        });
        opened.unwrap().write_all(b"go\n").unwrap();
        self
    }

    /// Opens a FIFO for writing and closes it, if somebody reads it, so that the readers see its
    /// end.
    pub(crate) fn open_if_read(&self, name: &str) {
        let flags = nix::libc::O_NONBLOCK;
        drop(OpenOptions::new().write(true).custom_flags(flags).open(self.path(name)));
    }

    /// Writes to standard input, if that is a pipe.
    pub(crate) fn write(&mut self, text: &str) -> &mut Self {
        self.input.as_mut().expect("a pipe").write_all(text.as_bytes()).unwrap();
        self
    }

    pub(crate) fn close_input(&mut self) -> &mut Self {
        self.input = None;
        self
    }

    /// Returns standard output so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().texts[0]).into_owned()
    }

    /// Returns standard error so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().texts[1]).into_owned()
    }

    /// Waits for the exit of trc.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) -> &Self {
        if !self.wait_while(|state| state.ended.is_none()) {
            self.fail("it doesn't end");
        }
        self
    }

    /// Waits for the exit of trc and of everything that it started.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        self.input = None;
        self.wait_for_end();
        let survivors = if self.survivors { Vec::new() } else { marked(&self.mark) };
        if !survivors.is_empty() {
            self.fail(&format!("these outlive trc: {survivors:?}"));
        }
        if !self.survivors && !self.wait_while(|state| state.open > 0) {
            self.fail("it ended, but its streams didn't");
        }
        let record = self.record.take();
        if let Some(record) = &record {
            let texts = self.shared.lock().texts.clone();
            let streams = [&texts[0][..], &texts[1][..]];
            if let Err(why) =
                record.check(Some(streams).filter(|_| self.captured && !self.survivors))
            {
                self.fail(&why);
            }
        }
        let state = self.shared.lock();
        let ended = state.ended.expect("an end");
        Outcome {
            // This is what a shell reports if trc itself is killed.
            status: ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap_or(0)),
            killed: ended.signal(),
            stdout: state.texts[0].clone(),
            stderr: state.texts[1].clone(),
            described: self.described.clone(),
            dir: self.dir.clone(),
        }
    }

    /// Panics with everything that is known about the run.
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        let mut processes = String::new();
        for process in marked(&self.mark) {
            writeln!(processes, "    {process:?}").unwrap();
        }
        let state = self.shared.lock();
        let [stdout, stderr] = state.texts.each_ref().map(|text| excerpt(text));
        let (described, ended) = (&self.described, state.ended);
        drop(state);
        panic!(
            "{why}\n{described}ended: {ended:?}\nprocesses:\n{processes}\
             stdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }

    /// Returns the processes that carry this run's mark, as seen from here.
    pub(crate) fn processes(&self) -> Vec<Process> {
        marked(&self.mark)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let state = self.shared.lock();
        if state.ended.is_none() {
            // The namespace ends together with unshare.
            kill(self.child, KILL);
        }
        drop(state);
        self.wait_while(|state| state.ended.is_none());
        // A fork may happen at the same time.
        for _ in 0..100 {
            let left = marked(&self.mark);
            if left.is_empty() {
                break;
            }
            for process in left {
                kill(process.pid, KILL);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// How it went.
pub(crate) struct Outcome {
    pub status: i32,
    pub killed: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    described: String,
    dir: Arc<TempDir>,
}

impl Outcome {
    /// Returns the path of a file below the directory of the run, as the run has left it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        let (out, err) = (excerpt(&self.stdout), excerpt(&self.stderr));
        panic!(
            "{why}\n{}status: {}{}\nstdout:\n{out}\nstderr:\n{err}",
            self.described,
            self.status,
            self.killed.map_or(String::new(), |n| format!(" (killed by signal {n})")),
        )
    }

    #[track_caller]
    pub(crate) fn status(&self, expected: i32) -> &Self {
        if self.status != expected || self.killed.is_some() {
            self.fail(&format!("the exit status should be {expected}"));
        }
        self
    }

    /// Returns all of standard output.
    #[track_caller]
    pub(crate) fn stdout_is(&self, expected: &str) -> &Self {
        if self.out() != expected {
            self.fail(&format!("standard output should be {expected:?}"));
        }
        self
    }

    /// Returns all of standard error.
    #[track_caller]
    pub(crate) fn stderr_is(&self, expected: &str) -> &Self {
        if self.err() != expected {
            self.fail(&format!("standard error should be {expected:?}"));
        }
        self
    }

    #[track_caller]
    pub(crate) fn stdout_has(&self, text: &str) -> &Self {
        if !said(&self.stdout).contains(text) {
            self.fail(&format!("standard output should have `{text}`"));
        }
        self
    }

    #[track_caller]
    pub(crate) fn stdout_lacks(&self, text: &str) -> &Self {
        if said(&self.stdout).contains(text) {
            self.fail(&format!("standard output should not have `{text}`"));
        }
        self
    }

    #[track_caller]
    pub(crate) fn stderr_has(&self, text: &str) -> &Self {
        if !said(&self.stderr).contains(text) {
            self.fail(&format!("standard error should have `{text}`"));
        }
        self
    }

    #[track_caller]
    pub(crate) fn stderr_lacks(&self, text: &str) -> &Self {
        if said(&self.stderr).contains(text) {
            self.fail(&format!("standard error should not have `{text}`"));
        }
        self
    }

    /// Checks that lines of standard output match these patterns, in this order. Other lines may be
    /// between them. `<` at the start of a pattern stands for the time and the name of a log line,
    /// up to the bracket.
    #[track_caller]
    pub(crate) fn stdout_lines(&self, patterns: &[&str]) -> &Self {
        self.lines(&self.out(), "standard output", patterns)
    }

    /// The same for standard error.
    #[track_caller]
    pub(crate) fn stderr_lines(&self, patterns: &[&str]) -> &Self {
        self.lines(&self.err(), "standard error", patterns)
    }

    #[track_caller]
    fn lines(&self, text: &str, name: &str, patterns: &[&str]) -> &Self {
        let mut lines = text.lines();
        for pattern in patterns {
            let regex = line_regex(pattern);
            if !lines.any(|line| regex.is_match(line)) {
                self.fail(&format!("{name} should have, in this order, a line like `{pattern}`"));
            }
        }
        self
    }

    /// Checks that all lines of standard output match these patterns, one each.
    #[track_caller]
    pub(crate) fn stdout_lines_exactly(&self, patterns: &[&str]) -> &Self {
        let text = self.out();
        let lines: Vec<&str> = text.lines().collect();
        for (n, pattern) in patterns.iter().enumerate() {
            match lines.get(n) {
                Some(line) if line_regex(pattern).is_match(line) => {}
                other => self.fail(&format!(
                    "line {} of standard output should be like `{pattern}`, not {other:?}",
                    n + 1
                )),
            }
        }
        if lines.len() > patterns.len() {
            self.fail(&format!("standard output should have {} lines only", patterns.len()));
        }
        self
    }
}

fn line_regex(pattern: &str) -> Regex {
    let whole = match pattern.strip_prefix('<') {
        Some(rest) => format!("^{STAMP}{rest}$"),
        None => format!("^{pattern}$"),
    };
    Regex::new(&whole).expect("a pattern")
}

/// Returns the output without the commands that log lines show: a test that waits for a word of a
/// unit must not find it in the unit's own command.
fn said(text: &[u8]) -> String {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        let starts = r"(?:Launching|Exiting|Running) (?:on|in|from|the) .*?: ";
        Regex::new(&format!(r"(?m)^({STAMP}(?:main|async|sync|halt)/\d+\]: {starts}).*$")).unwrap()
    });
    LABEL.replace_all(&String::from_utf8_lossy(text), "$1").into_owned()
}

fn times_said(state: &State, text: &str) -> usize {
    state.texts.iter().map(|stream| said(stream).matches(text).count()).sum()
}

/// Returns the beginning and the end of a long text, for messages of tests.
fn excerpt(text: &[u8]) -> String {
    const END: usize = 4_000;
    if text.len() <= 2 * END {
        return String::from_utf8_lossy(text).into_owned();
    }
    let (start, end) = (&text[..END], &text[text.len() - END..]);
    format!(
        "{}\n… ({} bytes in all) …\n{}",
        String::from_utf8_lossy(start),
        text.len(),
        String::from_utf8_lossy(end)
    )
}

/// A process of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub pid: i32,
    pub state: char,
    pub command: String,
}

/// Returns the processes whose environment has this mark. Processes that are exiting have no
/// environment.
fn marked(mark: &str) -> Vec<Process> {
    let wanted = format!("TEST_MARK={mark}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|&byte| byte == 0).any(|entry| entry == wanted.as_bytes()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(Process { pid, state: state_of(pid).unwrap_or('?'), command });
        }
    }
    found
}

/// A process's state: `R`, `S`, `T`, `Z` …
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Resets the signals. The program that runs the tests may ignore some (`nohup`, a shell's `&`),
/// and a transparent trc passes that on.
fn take_no_signals_over() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for number in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP] {
            // SAFETY: a default disposition runs no code of this process.
            unsafe { libc::signal(number, libc::SIG_DFL) };
        }
    });
}

/// Sends a signal, including real-time signals.
pub(crate) fn kill(pid: i32, number: i32) {
    assert!(pid > 1, "a process of this test");
    // SAFETY: kill(2) touches no memory of ours.
    unsafe { nix::libc::kill(pid, number) };
}

/// Runs all rows, several at a time, and reports every row that failed.
#[track_caller]
pub(crate) fn table<T: Sync>(
    rows: &[T],
    name: impl Fn(&T) -> String + Sync,
    run: impl Fn(&T) + Sync,
) {
    // The threads of the rows have no part in this.
    let _together = Together::begin();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = catch_unwind(AssertUnwindSafe(|| run(row))) {
                        let why = why
                            .downcast_ref::<String>()
                            .cloned()
                            .or_else(|| why.downcast_ref::<&str>().map(ToString::to_string))
                            .unwrap_or_default();
                        failures.lock().unwrap().push(format!("=== {}: {why}", name(row)));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} failed\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n")
    );
}

/// Returns a full pipe, which nobody reads as long as the first of the two is kept.
pub(crate) fn full_pipe() -> (OwnedFd, OwnedFd) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (read, mut write) = io::pipe().unwrap();
    fcntl(write.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while write.write(&[b'x'; 4096]).is_ok() {}
    while write.write(b"x").is_ok() {}
    fcntl(write.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (read.into(), write.into())
}

/// Returns a terminal, its master first. Processes that another test starts at the same time
/// inherit neither end, unlike those of openpty(3).
pub(crate) fn terminal() -> nix::pty::OpenptyResult {
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = nix::pty::posix_openpt(flags).unwrap();
    nix::pty::grantpt(&master).unwrap();
    nix::pty::unlockpt(&master).unwrap();
    let path = nix::pty::ptsname_r(&master).unwrap();
    let slave = open(Path::new(&path), flags, nix::sys::stat::Mode::empty()).unwrap();
    let master = master.as_fd().try_clone_to_owned().unwrap();
    nix::pty::OpenptyResult { master, slave }
}

/// Python, which some tests need for things that a shell cannot do.
pub(crate) fn python() -> &'static str {
    if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" }
}

/// Returns whether a program is installed that not every machine with Rust has. A test that needs
/// it passes without it, but not if `CI` is set.
#[track_caller]
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    assert!(found || std::env::var_os("CI").is_none(), "{program} is needed where CI is set");
    if !found {
        eprintln!("skipped: {program} is not here");
    }
    found
}
