//! The tests of the examples pass on a busy machine as on an idle one, however often they run. They
//! run outside a container, in namespaces and directories of their own, while other work keeps
//! every processor busy.
//!
//! Needs root and Debian's packages, which `.ci/run` installs. Before a release, this command runs
//! them more often:
//!
//!     TRC_TEST_ROUNDS=400 cargo test --test suite busy_examples:: -- --ignored --nocapture

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::common::{Trc, number_from};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The commands that turn this machine into the image, like its Dockerfile.
struct Image {
    example: &'static str,
    /// The script. `$EXAMPLE` is the directory of the example.
    made_by: &'static str,
    /// The test points that depend on this machine and not on the image, because the run has no
    /// cgroup of its own.
    env: &'static [(&'static str, &'static str)],
}

/// The loopback interface, and directories that the example writes to.
const SURROUNDINGS: &str = "
    mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/mail &&
    chmod 1777 /var/mail && mount -t tmpfs -o mode=755 tmpfs /var/spool &&
    mount -t tmpfs -o mode=755 tmpfs /srv && mount -t tmpfs -o mode=755 tmpfs /var/log &&
    ip link set lo up || exit
    ";

const QUICKSTART: Image = Image { example: "quickstart", made_by: "", env: &[("TICKS", "0.2")] };

const OPENSMTPD: Image = Image {
    example: "opensmtpd",
    made_by: "
        install -d -m 711 /var/spool/smtpd && : >>/etc/mailname && : >>/etc/aliases &&
        mount --bind $EXAMPLE/smtpd.conf /etc/smtpd.conf &&
        echo mail.example.org >$W/mailname && mount --bind $W/mailname /etc/mailname || exit",
    env: &[("TRC_TEST__MEMORY__ENABLED", "false"), ("TRC_LOG_LEVEL", "info")],
};

const WEB_STACK: Image = Image {
    example: "web-stack",
    made_by: "
        cp /etc/passwd /etc/group $W && echo 'web:x:4711:4711::/srv/web:/bin/sh' >>$W/passwd &&
        echo 'web:x:4711:' >>$W/group && mount --bind $W/passwd /etc/passwd &&
        mount --bind $W/group /etc/group &&
        mount -t tmpfs -o mode=755 tmpfs /var/lib/postgresql &&
        mount -t tmpfs -o mode=755 tmpfs /var/lib/nginx && chown www-data: /var/lib/nginx &&
        install -d /srv/web /var/log/nginx && cp $EXAMPLE/app.py $EXAMPLE/migrate.sql /srv/web &&
        mount --bind $EXAMPLE/nginx.conf /etc/nginx/nginx.conf &&
        mount -t tmpfs tmpfs /etc/redis && cp $EXAMPLE/redis.conf /etc/redis && chmod 755 /etc/redis &&
        install -d /run/secrets && echo secret >/run/secrets/db_password || exit",
    env: &[
        ("PATH", "/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("TRC_TEST__BUDGET__ENABLED", "false"),
        // The processes of other rounds are in other namespaces, except for the owner of the files.
    ],
};

/// Keeps every processor busy until it is dropped.
struct Busy(&'static AtomicBool);

impl Busy {
    fn begin() -> Self {
        let over: &'static AtomicBool = Box::leak(Box::default());
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            thread::spawn(|| {
                let mut sum = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    sum = black_box(sum.wrapping_add(1));
                }
            });
        }
        Self(over)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs the tests of an example once, as PID 1. Returns the output if the run failed.
fn fails(image: &Image) -> Option<String> {
    let example = format!("{ROOT}/examples/{}", image.example);
    let mut trc = Trc::new().no_work_dir().args(&["-w", &example, "--test"]);
    for (name, value) in image.env {
        trc = trc.env(name, value);
    }
    let dir = trc.dir().to_owned();
    let outcome = trc
        .env("EXAMPLE", &example)
        .env("TMPDIR", dir)
        .pid1()
        .wrap(&["unshare", "--net", "--ipc", "--uts", "--mount"])
        .before(&format!("{SURROUNDINGS}\n{}", image.made_by))
        .run();
    (outcome.status != 0).then(|| format!("{}\n{}", outcome.out(), outcome.err()))
}

/// Runs the tests of an example this often, some at a time, and shows every run that failed.
fn rounds(image: &Image) {
    let rounds = number_from("TRC_TEST_ROUNDS", 4);
    let _busy = Busy::begin();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..number_from("TRC_TEST_AT_ONCE", 2) {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        break;
                    }
                    if round.is_multiple_of(20) {
                        println!("{}: round {round}", image.example);
                    }
                    if let Some(said) = fails(image) {
                        println!("{}: a run has failed:\n{said}", image.example);
                        failures.lock().unwrap().push(said);
                    }
                }
            });
        }
    });
    let failed = failures.into_inner().unwrap().len();
    println!("{}: {} of {rounds} runs have passed", image.example, rounds - failed);
    assert_eq!(failed, 0, "{}: {failed} of {rounds} runs have failed", image.example);
}

#[test]
#[ignore = "keeps all processors busy"]
fn the_quickstarts_tests_pass_on_a_busy_machine() {
    rounds(&QUICKSTART);
}

#[test]
#[ignore = "needs root and OpenSMTPD, and keeps all processors busy"]
fn the_mail_servers_tests_pass_on_a_busy_machine() {
    rounds(&OPENSMTPD);
}

#[test]
#[ignore = "needs root and the web stack's packages, and keeps all processors busy"]
fn the_web_stacks_tests_pass_on_a_busy_machine() {
    rounds(&WEB_STACK);
}
