//! trc as PID 1 of real containers. Needs a container engine: its program, `docker`,
//! `podman` or a path, stands in `TRC_CONTAINER_ENGINE`. Images are built once and are
//! removed at the end with all containers, but for the engine's build cache.
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test containers -- --ignored
//!
//! The static binary is that of `TRC_STATIC_BIN`, else `cargo static` makes it.

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

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// How long a container may take before the test fails; nothing waits this long when
/// all is well.
const PATIENCE: Duration = Duration::from_mins(1);

/// The start of each of trc's own log lines.
const STAMP: &str = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d trc \[";

/// The seed's command line, as it was published.
const SEED: &str = "docker run --rm vorakl/centos-opensmtpd -H 'if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi' -D 'sleep 3; smtpctl show status && kill -10 ${MAINPID}'";

/// Its halt unit.
const HALT: &str = "if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi";

/// Waits until the mail server is there; the start of tests that need no `sleep 3`.
const UP: &str = "until smtpctl show status >/dev/null 2>&1; do sleep 0.1; done; ";

/// The engine's program.
fn engine() -> PathBuf {
    let Some(name) = std::env::var_os("TRC_CONTAINER_ENGINE").filter(|name| !name.is_empty())
    else {
        panic!(
            "TRC_CONTAINER_ENGINE is not set: these tests need a container engine, such as \
             TRC_CONTAINER_ENGINE=docker cargo test --test containers -- --ignored"
        );
    };
    let path = PathBuf::from(name);
    if path.components().count() == 1 {
        return path;
    }
    fs::canonicalize(&path)
        .unwrap_or_else(|why| panic!("TRC_CONTAINER_ENGINE={}: {why}", path.display()))
}

/// Runs the engine to its end; what it printed if that went well.
#[track_caller]
fn call(args: &[&str]) -> String {
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

/// Whether the engine is podman, whose `--read-only` leaves more writable than docker's.
fn podman() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| call(&["--version"]).contains("podman"))
}

/// The images of this run.
#[derive(Clone, Copy)]
enum Image {
    /// Of `Dockerfile.example`, as it is.
    Mail,
    /// Of `examples/opensmtpd/declared`, upon that.
    MailDeclared,
    /// Debian and trc.
    Debian,
    /// The same with a user of its own and no `/tmp`.
    Plain,
    /// Debian's cron with `conf.d/async.cron.toml`.
    Cron,
    /// Nothing but trc and a static program.
    Scratch,
}

impl Image {
    /// What it is called; it is built when it is first asked for.
    fn name(self) -> &'static str {
        static NAMES: [OnceLock<String>; 6] = [const { OnceLock::new() }; 6];
        NAMES[self as usize].get_or_init(|| self.build())
    }

    fn build(self) -> String {
        let name = format!("trc-test-{}-{}", self.label(), std::process::id());
        remember(&name);
        let trc = static_binary();
        let folder = TempDir::new().unwrap();
        let put = |from: &Path, to: &str| {
            let to = folder.path().join(to);
            fs::copy(from, &to).unwrap_or_else(|why| panic!("{}: {why}", from.display()));
        };
        let write = |text: &str| fs::write(folder.path().join("Dockerfile"), text).unwrap();
        let here = folder.path().to_str().unwrap();
        match self {
            Self::Mail => {
                let file = format!("{ROOT}/Dockerfile.example");
                call(&["build", "-f", &file, "-t", &name, ROOT]);
                return name;
            }
            Self::MailDeclared => {
                let image = format!("IMAGE={}", Self::Mail.name());
                let dir = format!("{ROOT}/examples/opensmtpd/declared");
                call(&["build", "--build-arg", &image, "-t", &name, &dir]);
                return name;
            }
            Self::Debian => {
                put(trc, "trc");
                write(
                    "FROM debian:bookworm-slim\nCOPY trc /usr/local/bin/trc\n\
                     ENTRYPOINT [\"/usr/local/bin/trc\"]\n",
                );
            }
            Self::Plain => {
                let base = Self::Debian.name();
                write(&format!("FROM {base}\nRUN rm -r /tmp\nUSER 12345:12345\n"));
            }
            Self::Cron => {
                put(&Path::new(ROOT).join("conf.d/async.cron.toml"), "async.cron.toml");
                let base = Self::Debian.name();
                write(&format!(
                    "FROM {base}\nRUN apt-get update \
                     && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends cron \
                     && rm -rf /var/lib/apt/lists/*\n\
                     COPY async.cron.toml /etc/trc.d/async.cron.toml\n"
                ));
            }
            Self::Scratch => {
                put(trc, "trc");
                put(Path::new("/bin/busybox"), "busybox");
                // busybox is what its name says; none of these is a shell.
                write(
                    "FROM scratch\nCOPY trc /trc\nCOPY busybox /app/busybox\n\
                     COPY busybox /app/cat\nCOPY busybox /app/echo\nCOPY busybox /app/sleep\n\
                     COPY busybox /app/kill\nCOPY busybox /app/false\nCOPY busybox /app/env\n\
                     ENV PATH=/app\nENTRYPOINT [\"/trc\"]\n",
                );
            }
        }
        call(&["build", "-t", &name, here]);
        name
    }

    fn label(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::MailDeclared => "mail-declared",
            Self::Debian => "debian",
            Self::Plain => "plain",
            Self::Cron => "cron",
            Self::Scratch => "scratch",
        }
    }
}

/// Images to remove when the tests are done, the last built first.
static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn remember(image: &str) {
    // Statics are not dropped; this is called when the process ends.
    extern "C" fn remove() {
        let images = std::mem::take(&mut *lock(&BUILT));
        let mut command = Command::new(engine());
        command.args(["rmi", "--force"]).args(images.iter().rev());
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    let mut built = lock(&BUILT);
    if built.is_empty() {
        // SAFETY: a plain function without arguments, which unwinds into nothing.
        unsafe { nix::libc::atexit(remove) };
    }
    built.push(image.to_owned());
}

/// A trc that runs in any image.
fn static_binary() -> &'static Path {
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

/// A container to be: `engine run --rm OPTIONS IMAGE ARGUMENTS`.
struct Run {
    image: Image,
    options: Vec<String>,
    arguments: Vec<String>,
    dir: TempDir,
}

impl Run {
    fn new(image: Image, arguments: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        // For users in the container.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { image, options: Vec::new(), arguments, dir }
    }

    fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    fn env(self, name: &str, value: &str) -> Self {
        self.options(&["-e", &format!("{name}={value}")])
    }

    /// A file that is mounted, read-only.
    fn mount(self, at: &str, text: &str) -> Self {
        let path = self.dir.path().join(at.replace('/', "_"));
        fs::write(&path, text).unwrap();
        // cron, for one, reads nothing that others may write.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let volume = format!("{}:{at}:ro", path.display());
        self.options(&["-v", &volume])
    }

    /// A folder of this machine, which the container may write, and its path here.
    fn folder(self, at: &str) -> (Self, PathBuf) {
        let path = self.dir.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let volume = format!("{}:{at}", path.display());
        (self.options(&["-v", &volume]), path)
    }

    fn start(self) -> Container {
        Container::start(self, None)
    }

    /// With a terminal, as `run -it`.
    fn start_on_a_terminal(self) -> Container {
        let pty = nix::pty::openpty(None, None).unwrap();
        Container::start(self.options(&["-it"]), Some((pty.master, pty.slave)))
    }

    #[track_caller]
    fn run(self) -> Ended {
        self.start().wait()
    }
}

/// What was printed so far, on both streams, and whether they are at their end.
#[derive(Default)]
struct Said {
    text: Vec<u8>,
    open: usize,
}

/// A container at work; it is removed with this.
struct Container {
    name: String,
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
        command.arg(run.image.name()).args(&run.arguments);
        Self::spawn(name, command, terminal, run.dir)
    }

    fn spawn(
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
            readers.push(File::from(master.try_clone().unwrap()));
            Some(master)
        } else {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            None
        };
        let mut client = command.spawn().unwrap_or_else(|why| panic!("{shown}: {why}"));
        drop(command);
        readers.extend(client.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe))));
        readers.extend(client.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe))));
        lock(&said.0).open = readers.len();
        for reader in readers {
            let said = said.clone();
            thread::spawn(move || read(reader, &said));
        }
        Self { name, client, said, terminal: master, shown, _dir: dir }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.said.0).text).into_owned()
    }

    /// Waits until a line like this was printed.
    #[track_caller]
    fn wait_for(&self, pattern: &str) -> &Self {
        let regex = line(pattern);
        let end = Instant::now() + PATIENCE;
        let mut said = lock(&self.said.0);
        loop {
            let text = String::from_utf8_lossy(&said.text).into_owned();
            if text.lines().any(|line| regex.is_match(line)) {
                return self;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                said.open > 0 && !left.is_zero(),
                "waited for `{pattern}`\n{}\n{text}",
                self.shown
            );
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
    }

    fn type_in(&self, text: &str) -> &Self {
        let master = self.terminal.as_ref().expect("a terminal").try_clone().unwrap();
        File::from(master).write_all(text.as_bytes()).unwrap();
        self
    }

    /// Waits for the container's end and that of its output.
    #[track_caller]
    fn wait(mut self) -> Ended {
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
        let text = String::from_utf8_lossy(&said.text).replace('\r', "");
        drop(said);
        Ended { status, text, shown: self.shown.clone() }
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

fn read(mut file: File, said: &(Mutex<Said>, Condvar)) {
    let mut buffer = [0; 4096];
    // A terminal whose other side is closed gives EIO.
    while let Ok(n @ 1..) = file.read(&mut buffer) {
        lock(&said.0).text.extend_from_slice(&buffer[..n]);
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

/// How a container ended.
struct Ended {
    status: i32,
    text: String,
    shown: String,
}

impl Ended {
    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        panic!("{why}\n{}\nstatus: {}\n{}", self.shown, self.status, self.text)
    }

    #[track_caller]
    fn status(&self, expected: i32) -> &Self {
        if self.status != expected {
            self.fail(&format!("the exit status should be {expected}"));
        }
        self
    }

    /// Lines like these are there, in this order.
    #[track_caller]
    fn lines(&self, patterns: &[&str]) -> &Self {
        let mut lines = self.text.lines();
        for pattern in patterns {
            let regex = line(pattern);
            if !lines.any(|line| regex.is_match(line)) {
                self.fail(&format!("there should be, in this order, a line like `{pattern}`"));
            }
        }
        self
    }

    #[track_caller]
    fn lacks(&self, pattern: &str) -> &Self {
        let regex = Regex::new(pattern).unwrap();
        if self.text.lines().any(|line| regex.is_match(line)) {
            self.fail(&format!("there should be no line like `{pattern}`"));
        }
        self
    }

    /// The last line, which says why. Two streams may come in another order than they
    /// were written in, so it is the last of those that are not info.
    #[track_caller]
    fn reason(&self, pattern: &str) -> &Self {
        let info = "The wait policy|Launching|Running the|Exiting|Trying to|terminating|Exited";
        let info = Regex::new(&format!(r"^{STAMP}\w+/\d+\]: ({info})")).unwrap();
        let own = Regex::new(&format!("^{STAMP}")).unwrap();
        let last = self.text.lines().rfind(|line| own.is_match(line) && !info.is_match(line));
        if !last.is_some_and(|last| line(pattern).is_match(last)) {
            self.fail(&format!("the last line should be like `{pattern}`, not {last:?}"));
        }
        self
    }
}

/// The seed's log, line by line; mail's own lines are between.
#[track_caller]
fn is_the_seeds_log(ended: &Ended, unit: &str) {
    let test = r"sleep 3; smtpctl show status && kill -10 \$\{MAINPID\}";
    let halt = regex::escape(HALT);
    ended.status(0);
    ended.lines(&[
        r"<main/1\]: The wait policy: wait_any",
        &format!(r"<async/\d+\]: Launching on the background: {unit}"),
        &format!(r"<async/\d+\]: Launching on the background: {test}"),
        "MDA running",
        "MTA running",
        "SMTP running",
        r"<main/1\]: Trying to terminate sub-processes\.\.\.",
        r"<main/1\]: terminating the child process <pid=\d+>",
        &format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {unit}"),
        &format!(r"<halt/\d+\]: Running the shutdown command: {halt}"),
        &format!(r"<main/1\]: Exiting from the shutdown command \(exitcode=0\): {halt}"),
        r"<main/1\]: Exited \(exitcode=0\)",
    ]);
    // The test has just sent its signal: it ends by itself or is stopped with the rest.
    ended.lines(&[&format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {test}")]);
    // All of trc's lines are of these kinds, and none says that something is wrong.
    let own = Regex::new(&format!("^{STAMP}")).unwrap();
    let known = Regex::new(
        r"\[(main|async|halt)/\d+\]: (The wait policy|Launching on|Running the|Exiting (on|from)|Trying to|terminating the|Exited)",
    )
    .unwrap();
    if let Some(line) = ended.text.lines().find(|line| own.is_match(line) && !known.is_match(line))
    {
        ended.fail(&format!("what does this say: {line}"));
    }
}

/// Runs the seed's command line as it stands, but for the names of engine and image.
fn seed(image: Image) -> Ended {
    let words = SEED.strip_prefix("docker run --rm vorakl/centos-opensmtpd ").unwrap();
    let engine = engine();
    let text = format!("exec {} run --rm {} {words}", engine.display(), image.name());
    let mut command = Command::new("bash");
    command.args(["-c", &text]);
    Container::spawn(String::new(), command, None, TempDir::new().unwrap()).wait()
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_seeds_command_line_tests_the_image() {
    is_the_seeds_log(&seed(Image::Mail), r"/etc/trc\.d/async\.opensmtpd");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_seeds_command_line_tests_an_image_whose_unit_is_declared() {
    is_the_seeds_log(&seed(Image::MailDeclared), "opensmtpd: /usr/sbin/smtpd -d");
}

/// The mail server with a test, and whatever is wrong with it.
fn mail(test: &str) -> Run {
    Run::new(Image::Mail, &["-H", HALT, "-D", test])
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_whose_configuration_is_broken_fails() {
    let test = "sleep 30; kill -10 ${MAINPID}";
    let ended = mail(test).mount("/etc/smtpd.conf", "listen on nonsense {\n").run();
    ended.status(143).reason(
        r"<main/1\]: halt\.H1 failed with status 143; before that async\.opensmtpd failed with status 1",
    );
    // A declared unit's own status is the container's.
    let ended = Run::new(Image::MailDeclared, &["-H", HALT, "-D", test])
        .mount("/etc/smtpd.conf", "listen on nonsense {\n")
        .run();
    ended.status(1).reason(
        r"<main/1\]: halt\.H1 failed with status 1; before that async\.opensmtpd failed with status 1",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_that_is_killed_before_its_test_fails() {
    // There is no pkill: the child of PID 1 that is smtpd.
    let test = format!(
        "{UP}for p in $(cat /proc/1/task/1/children); do \
         [[ $(readlink /proc/$p/exe) != */smtpd ]] || kill -9 $p; done; \
         sleep 30; smtpctl show status && kill -10 ${{MAINPID}}"
    );
    let ended = mail(&test).run();
    ended.status(143).reason(
        r"<main/1\]: halt\.H1 failed with status 143; before that async\.opensmtpd was killed by SIGKILL",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_test_that_fails_fails_the_container() {
    let ended = mail(&format!("{UP}smtpctl show nonsense && kill -10 ${{MAINPID}}")).run();
    ended.status(143).reason(
        r"<main/1\]: halt\.H1 failed with status 143; before that async\.D1 failed with status 255",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_stops_well_within_ten_seconds() {
    let container = Run::new(Image::Mail, &["-D", &format!("{UP}echo up; sleep 1000")]).start();
    container.wait_for("up");
    let start = Instant::now();
    call(&["stop", "-t", "10", &container.name]);
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    container.wait().status(143).lacks("did not stop in time").lines(&[
        r"<async/\d+\]: Exiting on the background \(exitcode=0\): /etc/trc\.d/async\.opensmtpd",
    ]);
}

// FROM scratch: nothing is there but trc and a program.

fn scratch(toml: &str) -> Run {
    Run::new(Image::Scratch, &[]).mount("/etc/trc.toml", toml)
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_exec_units_run_in_all_stages() {
    let ended = scratch(
        "[boot.first]\nexec = 'echo in boot'\n\
         [async.service]\nexec = 'sleep 1000'\n\
         [sync.main]\nexec = ['echo', 'in sync as ${NAME:-it was}']\n\
         [halt.last]\nexec = ['cat', '/proc/self/comm']\n",
    )
    .run();
    ended.status(0).lines(&[
        r"<async/\d+\]: Launching on the background: service: sleep 1000",
        "in sync as it was",
        r"<async/\d+\]: Exiting on the background \(exitcode=143\): service: sleep 1000",
        "cat",
        r"<main/1\]: Exited \(exitcode=0\)",
    ]);
    ended.lines(&["in boot", "in sync as it was"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_a_units_status_is_the_containers() {
    let ended =
        scratch("[async.service]\nexec = 'sleep 1000'\n[sync.main]\nexec = 'false'\n").run();
    ended.status(1).reason(r"<main/1\]: sync\.main failed with status 1");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_a_command_is_run_as_by_tini() {
    Run::new(Image::Scratch, &["echo", "alone"]).run().status(0).lines(&["alone"]).lacks(STAMP);
    Run::new(Image::Scratch, &["/app/false"]).run().status(1).lacks(STAMP);
    let ended = Run::new(Image::Scratch, &["/app/nothing"]).run();
    ended.status(127).reason(r"<main/1\]: .*/app/nothing.*");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_signals_stop_the_units() {
    for (signal, status) in [("TERM", 143), ("USR1", 138), ("INT", 130), ("RTMIN+3", 165)] {
        let container = scratch("[async.service]\nexec = 'sleep 1000'\n").start();
        container.wait_for(r"<async/\d+\]: Launching on the background: service: sleep 1000");
        call(&["kill", "--signal", signal, &container.name]);
        container.wait().status(status).lines(&[
            r"<async/\d+\]: Exiting on the background \(exitcode=143\): service: sleep 1000",
        ]);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_a_script_is_an_error_that_names_the_unit() {
    let ended = scratch("[async.web]\nscript = 'echo started'\n").run();
    ended.status(78).lacks("^started");
    ended.lines(&[
        r"<main/1\]: error: async\.web needs a shell, and neither bash nor sh is in PATH",
    ]);
    let ended = Run::new(Image::Scratch, &["-D", "echo started"]).run();
    ended.status(78).lacks("^started").lines(&[r"<main/1\]: error: async\.D1 needs a shell, .*"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_image_is_changed_by_variables_when_it_is_run() {
    let toml = "[async.service]\nexec = 'sleep 1000'\n[sync.main]\nexec = 'echo as built'\n";
    let changed = scratch(toml).env("TRC_SYNC__MAIN__EXEC", "echo 'as  wanted'");
    changed.run().status(0).lines(&["as  wanted"]).lacks("^as built");
    let quiet = scratch(toml).env("TRC_LOG_LEVEL", "warn").run();
    quiet.status(0).lines(&["as built"]).lacks(STAMP);
    let without = scratch(toml).env("TRC_ASYNC__SERVICE__ENABLED", "false").run();
    without.status(0).lines(&["as built"]).lacks("sleep 1000");
    let wrong = scratch(toml).env("TRC_ASYNC__SERVICE__EXCE", "x").run();
    wrong.status(78).lacks("^as built");
}

/// `TRC_PORT_80_TCP` comes from docker's links and Kubernetes' services.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn variables_that_engines_inject_are_a_warning() {
    let ended = scratch("[sync.main]\nexec = 'echo runs'\n")
        .env("TRC_PORT_80_TCP", "tcp://10.0.0.1:80")
        .run();
    ended.status(0).lines(&[r"<main/1\]: .*TRC_PORT_80_TCP.*"]).lines(&["runs"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_image_is_changed_by_its_arguments_when_it_is_run() {
    let toml = "[sync.main]\nexec = 'echo as built'\n";
    let file = |run: Run| run.mount("/etc/trc.toml", toml);
    let args = ["--config", "sync.main.exec=echo as wanted", "--config", "log.format=json"];
    let ended = file(Run::new(Image::Scratch, &args)).run();
    ended.status(0).lines(&[r#"\{.*"event":"started".*"#]);
    ended.lines(&["as wanted"]).lacks("^as built");
    let args = ["--config", "sync.main.exce=echo"];
    let ended = file(Run::new(Image::Scratch, &args)).run();
    ended.status(78).lines(&[r".*did you mean `exec`.*"]).lacks("^as built");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_drop_in_that_is_mounted_is_run_or_changes_one_key() {
    let toml =
        "[sync.main]\nexec = 'cat /proc/self/environ'\nenv = { COLOUR = 'red', SIZE = 'big' }\n";
    let ended = scratch(toml)
        .mount("/etc/trc.d/boot.added.toml", "exec = 'echo added'\n")
        .mount("/etc/trc.d/sync.main.toml", "env = { COLOUR = 'blue' }\n")
        .run();
    ended.status(0).lines(&["added"]);
    ended.lines(&[".*COLOUR=blue.*"]).lines(&[".*SIZE=big.*"]).lacks("COLOUR=red");
}

// Debian: a shell is there.

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn stop_and_kill_give_128_and_the_signals_number_in_time() {
    // A service that ignores TERM, and an orphan in a session of its own that does.
    let stubborn = "trap '' TERM; setsid bash -c 'trap \"\" TERM; while :; do sleep 1000; done' & \
                    echo up; while :; do sleep 1000; done";
    for (args, status) in [
        (["stop", "-t", "10"], 143),
        (["kill", "--signal", "TERM"], 143),
        (["kill", "--signal", "USR1"], 138),
    ] {
        let container = Run::new(Image::Debian, &["-D", stubborn]).start();
        container.wait_for("up");
        let start = Instant::now();
        call(&[args[0], args[1], args[2], &container.name]);
        let ended = container.wait();
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        ended.status(status).lines(&[r"<main/1\]: .*did not stop in time.*"]);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_halt_unit_runs_within_the_ten_seconds() {
    let stubborn = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let container =
        Run::new(Image::Debian, &["-D", stubborn, "-H", "echo halted; exit $_exit_status"]).start();
    container.wait_for("up");
    call(&["stop", "-t", "10", &container.name]);
    container.wait().status(143).lines(&["halted"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_shell_on_a_terminal_has_job_control() {
    let container = Run::new(Image::Debian, &["bash", "--norc", "--noprofile"])
        // No escape sequences in what it prints.
        .env("TERM", "dumb")
        .start_on_a_terminal();
    // What is typed is echoed: what is waited for never looks like it.
    container.type_in("sleep 1000 &\n").wait_for(r".*\[1\] \d+");
    container
        .type_in("kill -STOP %1; sleep 0.2; jobs\n")
        .wait_for(r".*\[1\]\+ +Stopped +sleep 1000");
    container.type_in("echo $((40 + 2)) $$\n").wait_for(r"42 \d+");
    // Ctrl-C reaches the foreground job alone.
    container.type_in("cat; echo after=$?\n").type_in("typed\n").wait_for("typed");
    container.type_in("\x03").wait_for(r".*\^C.*");
    container.type_in("kill -KILL %1; tty; exit $((2 + 3))\n");
    let ended = container.wait();
    ended.status(5).lines(&["/dev/.*"]).lacks("no job control|cannot set terminal");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn ctrl_c_on_a_terminal_stops_the_container() {
    let container = Run::new(Image::Debian, &["-D", "sleep 1000", "-F", "echo up; sleep 1000"])
        .start_on_a_terminal();
    container.wait_for("up").type_in("\x03");
    container.wait().status(130);
}

/// All kinds of units, where nothing can be written and trc is nobody in particular.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_read_only_root_a_plain_user_and_no_tmp_are_enough() {
    let mut run = Run::new(
        Image::Plain,
        &[
            "-B",
            "export X=boot; f() { echo from a function; }; big=$(printf '%0200000d' 1)",
            "-D",
            "echo up $X; sleep 1000",
            "-F",
            "f; id -u; echo ${#big}; touch /x 2>/dev/null || echo read-only; test ! -e /tmp",
            "-H",
            "echo halted; exit $_exit_status",
        ],
    )
    .options(&["--read-only"]);
    if podman() {
        run = run.options(&["--read-only-tmpfs=false"]);
    }
    let ended = run.run();
    ended.status(0).lines(&["from a function", "12345", "200000", "read-only", "halted"]);
    ended.lines(&["up boot"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_plain_user_is_signalled_too() {
    let container = Run::new(Image::Plain, &["-D", "echo up; sleep 1000"]).start();
    container.wait_for("up");
    call(&["kill", "--signal", "USR1", &container.name]);
    container.wait().status(138);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_reason_is_left_where_kubernetes_looks_for_it() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("termination-log");
    fs::write(&file, "").unwrap();
    let volume = format!("{}:/dev/termination-log", file.display());
    let run = |args: &[&str]| {
        let ended = Run::new(Image::Debian, args).options(&["-v", &volume]).run();
        (ended.status, fs::read_to_string(&file).unwrap())
    };
    let (status, reason) = run(&["-F", "echo last words; exit 7"]);
    assert_eq!((status, reason.trim_end()), (7, "sync.F1 failed with status 7"));
    let (status, reason) = run(&["-F", "kill -10 $MAINPID; sleep 1000"]);
    assert_eq!(status, 138);
    assert!(reason.starts_with("stopped by SIGUSR1 from sync.F1 (pid "), "{reason}");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_orphan_of_a_cron_job_is_reaped_and_one_that_runs_is_stopped() {
    // A job is run by /bin/sh; what it leaves behind is PID 1's.
    let lasting = "trap 'echo stopped >> /out/log; exit' TERM; echo lasting >> /out/log; while :; do sleep 0.1; done";
    let job = format!(
        "#!/bin/sh\n(sleep 0.1; echo short >> /out/log) &\nsetsid sh -c '{}' &\n",
        lasting.replace('\'', r"'\''")
    );
    let (run, folder) = Run::new(
        Image::Cron,
        &["-D", "until grep -qs short /out/log && grep -qs lasting /out/log; do sleep 0.1; done
                 for n in {1..50}; do sleep 0.1; zombies=$(grep -lE '^State:.Z' /proc/[0-9]*/status || :)
                 [[ $zombies ]] || { echo no zombies; break; }; done; sleep 1000"],
    )
    .mount("/job", &job)
    .mount("/etc/cron.d/job", "@reboot root sh /job\n")
    .folder("/out");
    let container = run.start();
    container.wait_for("no zombies");
    assert!(!fs::read_to_string(folder.join("log")).unwrap().contains("stopped"));
    call(&["stop", "-t", "10", &container.name]);
    // Before the container and its folder are gone.
    let log = || fs::read_to_string(folder.join("log")).unwrap();
    let text = log();
    assert!(text.contains("stopped"), "the orphan had no time to end: {text}");
    container
        .wait()
        .status(143)
        .lacks("did not stop in time")
        .lines(&[r"<async/\d+\]: Launching on the background: cron: cron -f"]);
}
