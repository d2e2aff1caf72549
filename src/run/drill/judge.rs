//! The checks of a test on the machine and on units' processes, which trc makes itself.

use crate::config::{Listener, State};
use crate::run::check::resources::{
    Processes, max_cpu, max_fds, max_processes, max_rss, max_threads,
};
use crate::run::check::{
    Unmet, account, certificate, container, file, listening, mounts, processes, settings,
};
use crate::run::os::usage::Usage;
use crate::words::Wrong;

/// A unit that a test is about, and that runs or has run.
pub(super) struct About {
    /// `STAGE.NAME`.
    pub name: String,
    /// The unit's main process, while it runs.
    pub pid: Option<i32>,
    /// The unit's process group, while any process is in it.
    pub group: Option<i32>,
    /// The usage of those of its processes that have exited, if any have.
    pub used: Option<Usage>,
}

/// Makes a check that needs no waiting.
///
/// # Errors
/// Returns the actual state instead.
pub(super) fn judge(state: &State, about: &[About]) -> Result<(), Unmet> {
    let now = match state {
        State::Listening(wanted) => listening::check(wanted),
        State::File(wanted) => file::check(wanted),
        State::ListeningOnly(ports) => listening::only(ports),
        State::Listener(Listener { unit, ports }) => {
            if !about.iter().any(|unit| unit.group.is_some()) {
                return Err(Wrong::NotRunning(unit.value.clone()).into());
            }
            return of_each(about, |unit, pids| {
                listening::of_unit(&unit.name, pids, ports).map_err(Unmet::from)
            });
        }
        State::Certificate(wanted) => certificate::check(wanted),
        State::UserAccount(wanted) => account::user(wanted),
        State::GroupAccount(wanted) => account::group(wanted),
        State::Mount(wanted) => mounts::check(wanted),
        State::Sysctl(name, wanted) => settings::sysctl(name, wanted),
        State::Variables(wanted) => {
            let running = about.iter().filter_map(|unit| Some((unit, unit.pid?)));
            let check =
                |(unit, pid): (&About, i32)| settings::variables(&unit.name, pid, wanted).err();
            match running.clone().next() {
                Some(_) => Wrong::all(running.filter_map(check).collect()),
                None => Err(match &wanted.unit {
                    Some(unit) => Wrong::NotRunning(unit.value.clone()),
                    None => Wrong::NoneRuns,
                }),
            }
        }
        State::Running { process, user } => processes::running(process, user.as_deref()),
        State::User(user) => {
            let running = |unit: &About| Some((unit.name.clone(), unit.pid?));
            let pids: Vec<(String, i32)> = about.iter().filter_map(running).collect();
            if pids.is_empty() { Err(Wrong::NoneRuns) } else { processes::user_of(user, &pids) }
        }
        State::MaxRss(most) => {
            return of_each(about, |unit, pids| max_rss(&unit.name, pids, unit.used, *most));
        }
        State::MaxCpu(most) => {
            return of_each(about, |unit, pids| max_cpu(&unit.name, pids, unit.used, *most));
        }
        State::MaxProcesses(most) => {
            let running = about.iter().filter(|unit| unit.group.is_some());
            return of_each(running, |unit, pids| max_processes(&unit.name, pids, *most));
        }
        State::MaxThreads(most) => {
            let running = about.iter().filter(|unit| unit.group.is_some());
            return of_each(running, |unit, pids| max_threads(&unit.name, pids, *most));
        }
        State::MaxFds(most) => {
            let running = about.iter().filter(|unit| unit.group.is_some());
            return of_each(running, |unit, pids| max_fds(&unit.name, pids, *most));
        }
        // These are a peak, and properties of PID 1 itself, so they do not change back.
        State::MaxMemory(most) => return container::max_memory(*most).map_err(Unmet::for_good),
        State::NoNewPrivs(wanted) => {
            return container::no_new_privs(*wanted).map_err(Unmet::for_good);
        }
        State::Capabilities(wanted) => {
            return container::capabilities(*wanted).map_err(Unmet::for_good);
        }
        State::Uid(wanted) => return container::uid(*wanted).map_err(Unmet::for_good),
        State::ReadOnlyRoot(wanted) => container::read_only_root(*wanted),
    };
    now.map_err(Unmet::from)
}

/// Returns all units' problems in one line.
fn of_each<'a>(
    about: impl IntoIterator<Item = &'a About>,
    check: impl Fn(&About, &[i32]) -> Result<(), Unmet>,
) -> Result<(), Unmet> {
    let mut about = about.into_iter().peekable();
    if about.peek().is_none() {
        return Err(Wrong::NoneRuns.into());
    }
    let all = Processes::read();
    // No process has the number -1.
    let of = |unit: &About| all.of_unit(unit.pid.unwrap_or(-1), unit.group.unwrap_or(-1));
    let problems: Vec<Unmet> = about.filter_map(|unit| check(unit, &of(unit)).err()).collect();
    let for_good = problems.iter().any(|problem| problem.for_good);
    let why = problems.into_iter().map(|problem| problem.why).collect();
    Wrong::all(why).map_err(|why| Unmet { why, for_good })
}
