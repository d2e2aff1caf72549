//! What a test expects of the machine and of units' processes, asked for natively.

use super::check::resources::{Processes, max_cpu, max_fds, max_rss};
use super::check::{container, file, listening, processes};
use crate::config::Check;

/// A unit that a test is about, and that runs.
pub struct About {
    /// `STAGE.NAME`.
    pub name: String,
    /// Its main process.
    pub pid: i32,
    /// Its process group; without one of its own, its main process.
    pub group: i32,
}

/// Whether something holds that takes no time to find out.
///
/// # Errors
/// What is so instead.
pub fn judge(check: &Check, about: &[About]) -> Result<(), String> {
    match check {
        Check::Listening(wanted) => listening::check(wanted),
        Check::File(wanted) => file::check(wanted),
        Check::Running { process, user } => processes::running(process, user.as_deref()),
        Check::User(user) => {
            let pids: Vec<(String, i32)> =
                about.iter().map(|unit| (unit.name.clone(), unit.pid)).collect();
            if pids.is_empty() {
                return Err("none of the units that it is about runs".to_owned());
            }
            processes::user_of(user, &pids)
        }
        Check::MaxRss(most) => of_each(about, |name, pids| max_rss(name, pids, *most)),
        Check::MaxCpu(most) => of_each(about, |name, pids| max_cpu(name, pids, *most)),
        Check::MaxFds(most) => of_each(about, |name, pids| max_fds(name, pids, *most)),
        Check::NoNewPrivs(wanted) => container::no_new_privs(*wanted),
        Check::ReadOnlyRoot(wanted) => container::read_only_root(*wanted),
        Check::Capabilities(wanted) => container::capabilities(*wanted),
        Check::Uid(wanted) => container::uid(*wanted),
        // These take time, or are known to whoever asks.
        Check::Exit(_)
        | Check::Stdout(_)
        | Check::Stderr(_)
        | Check::Http(_)
        | Check::Tcp(_)
        | Check::Unix(_)
        | Check::Said { .. }
        | Check::ReadyWithin(_) => Err("this can't be asked here".to_owned()),
    }
}

/// All units' problems, in one line.
fn of_each(
    about: &[About],
    check: impl Fn(&str, &[i32]) -> Result<(), String>,
) -> Result<(), String> {
    if about.is_empty() {
        return Err("none of the units that it is about runs".to_owned());
    }
    let all = Processes::read();
    let of = |unit: &About| check(&unit.name, &all.of_unit(unit.pid, unit.group)).err();
    let problems: Vec<String> = about.iter().filter_map(of).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
