//! The parts that the tests in real containers share: an engine, images and containers.
//!
//! Needs a container engine: `TRC_CONTAINER_ENGINE` is `docker`, `podman` or a path. Images are
//! built once. At the end, they are removed with all containers, except for the engine's build
//! cache.
//!
//! The static binary is that of `TRC_STATIC_BIN`. Without that, `cargo static` builds it.

#![allow(clippy::disallowed_methods, unsafe_code)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use tempfile::TempDir;

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The time that a container may take before the test fails. Nothing waits this long if all is
/// well.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The start of each of trc's own log lines.
pub(crate) const STAMP: &str = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d trc \[";

/// The engine's program.
pub(crate) fn engine() -> PathBuf {
    let Some(name) = std::env::var_os("TRC_CONTAINER_ENGINE").filter(|name| !name.is_empty())
    else {
        panic!(
            "TRC_CONTAINER_ENGINE is not set: these tests need a container engine, such as \
             TRC_CONTAINER_ENGINE=docker cargo test --test suite containers:: -- --ignored"
        );
    };
    let path = PathBuf::from(name);
    if path.components().count() == 1 {
        return path;
    }
    fs::canonicalize(&path)
        .unwrap_or_else(|why| panic!("TRC_CONTAINER_ENGINE={}: {why}", path.display()))
}

/// Runs the engine until it exits. Returns its output if it succeeded.
#[track_caller]
pub(crate) fn call(args: &[&str]) -> String {
    let output = Command::new(engine()).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|why| panic!("{}: {why}", engine().display()));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{} {args:?}: {}\n{out}\n{err}",
        engine().display(),
        output.status
    );
    out.into_owned()
}

/// Returns whether the engine is podman, whose `--read-only` leaves more directories writable than
/// docker's.
pub(crate) fn podman() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| call(&["--version"]).contains("podman"))
}

/// The images to remove at the end, beginning with the one that was built last.
static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Has an image removed at the end.
#[track_caller]
pub(crate) fn remember(image: &str) {
    // Statics are not dropped, so this is called when the process exits.
    extern "C" fn remove() {
        let images = std::mem::take(&mut *lock(&BUILT));
        let mut command = Command::new(engine());
        command.args(["rmi", "--force"]).args(images.iter().rev());
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    // If there is no engine, this reports it, and not the exit of the process.
    engine();
    let mut built = lock(&BUILT);
    if built.is_empty() {
        // SAFETY: a plain function without arguments, which unwinds into nothing.
        unsafe { nix::libc::atexit(remove) };
    }
    built.push(image.to_owned());
}

/// Returns a trc that runs in any image.
pub(crate) fn static_binary() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = std::env::var_os("TRC_STATIC_BIN") {
            return fs::canonicalize(&path)
                .unwrap_or_else(|why| panic!("TRC_STATIC_BIN={}: {why}", path.display()));
        }
        let built = Command::new(env!("CARGO"))
            .args(["static", "--message-format=json-render-diagnostics"])
            .current_dir(ROOT)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo");
        assert!(built.status.success(), "cargo static: {}", built.status);
        let text = String::from_utf8(built.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|message| message["target"]["name"] == "trc")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .expect("cargo static says where trc is")
    })
}

/// Builds an image from a directory with this Dockerfile and these files of the machine.
pub(crate) fn build(label: &str, dockerfile: &str, files: &[(&Path, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    for (from, to) in files {
        let to = folder.path().join(to);
        fs::copy(from, &to).unwrap_or_else(|why| panic!("{}: {why}", from.display()));
    }
    fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
    let name = format!("trc-test-{label}-{}", std::process::id());
    remember(&name);
    call(&["build", "-t", &name, folder.path().to_str().unwrap()]);
    name
}

/// An image with trc at the place where the first stage of Dockerfile.example puts it. The stage
/// itself would take minutes.
pub(crate) fn built_trc() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let file = "FROM scratch\nCOPY trc trcctl /trc/target/any/release/\n";
        let trcctl = static_binary().with_file_name("trcctl");
        build("built", file, &[(static_binary(), "trc"), (&trcctl, "trcctl")])
    })
}

/// The image of `examples/web-stack`.
pub(crate) fn web_stack() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = format!("trc-test-web-stack-{}", std::process::id());
        let dir = format!("{ROOT}/examples/web-stack");
        let argument = format!("TRC={}", built_trc());
        remember(&name);
        call(&["build", "--build-arg", &argument, "-t", &name, &dir]);
        name
    })
}

/// The image of `Dockerfile.example`, its second stage as it is.
pub(crate) fn mail() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let text = fs::read_to_string(format!("{ROOT}/Dockerfile.example")).unwrap();
        let (_, second) = text.split_once("\nFROM debian").expect("a second stage");
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("Dockerfile");
        let first = format!("FROM {} AS build\nFROM debian", built_trc());
        fs::write(&file, first + second).unwrap();
        let name = format!("trc-test-opensmtpd-{}", std::process::id());
        remember(&name);
        call(&["build", "-f", file.to_str().unwrap(), "-t", &name, ROOT]);
        name
    })
}

/// A command line for a container: `engine run --rm OPTIONS IMAGE ARGUMENTS`.
pub(crate) struct Run {
    image: String,
    options: Vec<String>,
    arguments: Vec<String>,
    dir: TempDir,
}

impl Run {
    pub(crate) fn new(image: &str, arguments: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        // Users in the container have to read it.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { image: image.to_owned(), options: Vec::new(), arguments, dir }
    }

    pub(crate) fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        self.options(&["-e", &format!("{name}={value}")])
    }

    /// Mounts a file, read-only.
    pub(crate) fn mount(self, at: &str, text: &str) -> Self {
        // For example, cron reads no file that others can write to.
        self.mount_with_mode(at, text, 0o644)
    }

    /// Mounts a file that only root can read.
    pub(crate) fn secret(self, at: &str, text: &str) -> Self {
        self.mount_with_mode(at, text, 0o600)
    }

    fn mount_with_mode(self, at: &str, text: &str, mode: u32) -> Self {
        let path = self.dir.path().join(at.replace('/', "_"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let volume = format!("{}:{at}:ro", path.display());
        self.options(&["-v", &volume])
    }

    /// Mounts a directory of this machine that the container can write to. Returns its path here.
    pub(crate) fn folder(self, at: &str) -> (Self, PathBuf) {
        let path = self.dir.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let volume = format!("{}:{at}", path.display());
        (self.options(&["-v", &volume]), path)
    }

    pub(crate) fn start(self) -> Container {
        Container::start(self, None)
    }

    /// Starts it with a terminal, as `run -it` does.
    pub(crate) fn start_on_a_terminal(self) -> Container {
        let pty = nix::pty::openpty(None, None).unwrap();
        Container::start(self.options(&["-it"]), Some((pty.master, pty.slave)))
    }

    #[track_caller]
    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }
}

/// The output so far, and the number of streams that have not ended.
#[derive(Default)]
struct Said {
    /// All output in the order in which it came. A line of one stream may be cut by a line of the
    /// other.
    text: Vec<u8>,
    out: Vec<u8>,
    err: Vec<u8>,
    open: usize,
}

impl Said {
    /// Returns the whole lines that match, first those of one stream and then those of the other.
    fn lines(&self, regex: &Regex) -> Vec<String> {
        let streams = [&self.out, &self.err].map(|stream| String::from_utf8_lossy(stream));
        let lines = streams.iter().flat_map(|stream| stream.lines());
        lines.filter(|line| regex.is_match(line)).map(str::to_owned).collect()
    }
}

/// A running container, which is removed when this is dropped.
pub(crate) struct Container {
    pub name: String,
    client: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
    terminal: Option<OwnedFd>,
    shown: String,
    _dir: TempDir,
}

impl Container {
    fn start(run: Run, terminal: Option<(OwnedFd, OwnedFd)>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trc-test-{}-{n}", std::process::id());
        let mut command = Command::new(engine());
        command.args(["run", "--rm", "--name", &name]).args(&run.options);
        command.arg(&run.image).args(&run.arguments);
        Self::spawn(name, command, terminal, run.dir)
    }

    pub(crate) fn spawn(
        name: String,
        mut command: Command,
        terminal: Option<(OwnedFd, OwnedFd)>,
        dir: TempDir,
    ) -> Self {
        let shown = format!("{command:?}");
        let said = Arc::new((Mutex::new(Said::default()), Condvar::new()));
        let mut readers = Vec::new();
        let master = if let Some((master, slave)) = terminal {
            command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
            command.stderr(slave);
            // SAFETY: two system calls, between fork and exec.
            unsafe {
                command.pre_exec(|| {
                    nix::unistd::setsid()?;
                    nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0);
                    Ok(())
                })
            };
            readers.push((File::from(master.try_clone().unwrap()), true));
            Some(master)
        } else {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            None
        };
        let mut client = command.spawn().unwrap_or_else(|why| panic!("{shown}: {why}"));
        drop(command);
        let stdout = client.stdout.take().map(|pipe| (File::from(OwnedFd::from(pipe)), true));
        let stderr = client.stderr.take().map(|pipe| (File::from(OwnedFd::from(pipe)), false));
        readers.extend(stdout.into_iter().chain(stderr));
        lock(&said.0).open = readers.len();
        for (reader, is_stdout) in readers {
            let said = said.clone();
            thread::spawn(move || read(reader, is_stdout, &said));
        }
        Self { name, client, said, terminal: master, shown, _dir: dir }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.said.0).text).into_owned()
    }

    /// Returns the lines so far that match.
    pub(crate) fn lines(&self, pattern: &str) -> Vec<String> {
        lock(&self.said.0).lines(&line(pattern))
    }

    /// Waits until a line matches.
    #[track_caller]
    pub(crate) fn wait_for(&self, pattern: &str) -> &Self {
        self.wait_for_times(1, pattern)
    }

    /// Waits until this many lines match.
    #[track_caller]
    pub(crate) fn wait_for_times(&self, times: usize, pattern: &str) -> &Self {
        let regex = line(pattern);
        let end = Instant::now() + PATIENCE;
        let mut said = lock(&self.said.0);
        loop {
            if said.lines(&regex).len() >= times {
                return self;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                said.open > 0 && !left.is_zero(),
                "waited for `{pattern}`\n{}\n{}",
                self.shown,
                String::from_utf8_lossy(&said.text)
            );
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
    }

    /// Runs a command in the container. Returns its output if it succeeded.
    #[track_caller]
    pub(crate) fn exec(&self, command: &[&str]) -> String {
        call(&[&["exec", &self.name], command].concat())
    }

    /// Stops it as an orchestrator does, with ten seconds before SIGKILL.
    #[track_caller]
    pub(crate) fn stop_in_time(&self) -> &Self {
        let start = Instant::now();
        call(&["stop", "-t", "10", &self.name]);
        assert!(start.elapsed() < Duration::from_secs(9), "{:?}\n{}", start.elapsed(), self.text());
        self
    }

    pub(crate) fn type_in(&self, text: &str) -> &Self {
        let master = self.terminal.as_ref().expect("a terminal").try_clone().unwrap();
        File::from(master).write_all(text.as_bytes()).unwrap();
        self
    }

    /// Waits for the exit of the container and the end of its output.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match self.client.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > end => {
                    panic!("it doesn't end\n{}\n{}", self.shown, self.text())
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let status = status.code().unwrap_or_else(|| -status.signal().unwrap());
        let said = lock(&self.said.0);
        let (said, _) =
            self.said.1.wait_timeout_while(said, PATIENCE, |said| said.open > 0).unwrap();
        let [text, out, err] = [&said.text, &said.out, &said.err]
            .map(|text| String::from_utf8_lossy(text).replace('\r', ""));
        drop(said);
        Ended { status, text, out, err, shown: self.shown.clone() }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Ok(None) = self.client.try_wait() {
            let _ = Command::new(engine())
                .args(["rm", "--force", &self.name])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let _ = self.client.kill();
            let _ = self.client.wait();
        }
    }
}

/// A test that fails while it holds a lock is one failure, not several.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut file: File, is_stdout: bool, said: &(Mutex<Said>, Condvar)) {
    let mut buffer = [0; 4096];
    // A terminal whose other side is closed returns EIO.
    while let Ok(n @ 1..) = file.read(&mut buffer) {
        let mut all = lock(&said.0);
        all.text.extend_from_slice(&buffer[..n]);
        let stream = if is_stdout { &mut all.out } else { &mut all.err };
        stream.extend_from_slice(&buffer[..n]);
        drop(all);
        said.1.notify_all();
    }
    lock(&said.0).open -= 1;
    said.1.notify_all();
}

/// A pattern for a whole line; `<` at its start stands for the time and name of a log
/// line up to the bracket.
fn line(pattern: &str) -> Regex {
    let whole = match pattern.strip_prefix('<') {
        Some(rest) => format!("^{STAMP}{rest}\r?$"),
        None => format!("^{pattern}\r?$"),
    };
    Regex::new(&whole).expect("a pattern")
}

/// The result of a container.
pub(crate) struct Ended {
    pub status: i32,
    pub text: String,
    /// Returns standard output only.
    pub out: String,
    /// Returns standard error only, which has trc's log.
    err: String,
    shown: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        panic!("{why}\n{}\nstatus: {}\n{}", self.shown, self.status, self.text)
    }

    #[track_caller]
    pub(crate) fn status(&self, expected: i32) -> &Self {
        if self.status != expected {
            self.fail(&format!("the exit status should be {expected}"));
        }
        self
    }

    /// Checks that lines match these patterns, in this order within each stream. A container engine
    /// may change the order between two streams.
    #[track_caller]
    pub(crate) fn lines(&self, patterns: &[&str]) -> &Self {
        let mut streams = [self.out.lines(), self.err.lines()];
        for pattern in patterns {
            let regex = line(pattern);
            // A stream that does not have it keeps its place.
            let found = streams.iter_mut().any(|stream| {
                let mut ahead = stream.clone();
                let found = ahead.any(|line| regex.is_match(line));
                if found {
                    *stream = ahead;
                }
                found
            });
            if !found {
                self.fail(&format!("there should be, in this order, a line like `{pattern}`"));
            }
        }
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, pattern: &str) -> &Self {
        let regex = Regex::new(pattern).unwrap();
        if self.out.lines().chain(self.err.lines()).any(|line| regex.is_match(line)) {
            self.fail(&format!("there should be no line like `{pattern}`"));
        }
        self
    }

    /// Returns the last line of the log that is not of level info, which has the reason.
    #[track_caller]
    pub(crate) fn reason(&self, pattern: &str) -> &Self {
        let info = "The wait policy|Launching|Running the|Exiting|Trying to|terminating|Exited|\\S+ is ready";
        let info = Regex::new(&format!(r"^{STAMP}main/\d+\]: ({info})")).unwrap();
        let own = Regex::new(&format!(r"^{STAMP}main/\d+\]")).unwrap();
        let last = self.err.lines().rfind(|line| own.is_match(line) && !info.is_match(line));
        if !last.is_some_and(|last| line(pattern).is_match(last)) {
            self.fail(&format!("the last line should be like `{pattern}`, not {last:?}"));
        }
        self
    }
}
